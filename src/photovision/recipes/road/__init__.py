"""Road: objects and regions on roads, by weather and light."""
