"""Policies for environments: trained by stable-baselines3, paced and explained as all else is."""
