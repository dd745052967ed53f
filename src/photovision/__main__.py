"""`python -m photovision`, also under `torchrun -m` and `accelerate launch -m`."""

from photovision.app.cli import main

if __name__ == "__main__":
    main()
