"""The whole loop on simulated customers, told in chapters: `everfit demo`."""
