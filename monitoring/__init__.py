"""Source of the Grafana boards and Prometheus alerts in manifests/components/monitoring."""
