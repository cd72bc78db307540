"""Disks and the files behind them: sectors in, sectors out, whoever asks.

First reading: ``disk`` (the contract), ``vhd_format`` (what the file says), ``vhd_growing`` (blocks that
    come as they
are written), ``opening`` (which kind a file is).

Knows nothing of machines, controllers or VMBus.
"""
