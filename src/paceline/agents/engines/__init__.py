"""Where agents live: processes of this machine, a Ray cluster, ranks that torchrun started."""
