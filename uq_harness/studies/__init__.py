"""What reproduces and measures, each for one command: ablation, sps, paraphrase, bench. Nothing else imports it."""
