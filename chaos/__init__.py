"""Tests that break things on purpose: the network by toxiproxy, processes by kill. See README.md here."""
