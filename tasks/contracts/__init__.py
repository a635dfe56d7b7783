"""The words and frozen types that all other rooms speak: artifacts, evidence, verdicts, errors."""
