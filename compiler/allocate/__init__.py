"""Choose which bytes of L1 and DRAM each buffer occupies."""
