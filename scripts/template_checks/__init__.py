"""What template.yaml promises, held against its translation: one module for each part of the stack."""

from . import alarms, api, data, functions, permissions, queues, tenants

CHECKS = [check for module in (api, functions, permissions, tenants, queues, data, alarms) for check in module.CHECKS]
