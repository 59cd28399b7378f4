"""Reads an OpenMetrics page from standard input with Prometheus's own strict parser and prints it as JSON.

One object with a member for each family: its type, and its samples as [name, labels, value].
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in families:
        sys.exit(f"{family.name} comes twice")
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    families[family.name] = {"type": family.type, "help": family.documentation, "samples": samples}
json.dump(families, sys.stdout)
