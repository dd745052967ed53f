"""Referral: from probabilities to what should be done, by cost or by sensitivity, beside readers."""
