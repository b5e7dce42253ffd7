"""What every optimizer promises."""
