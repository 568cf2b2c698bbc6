//! The verbs: condition, fit the adapter, generate, report.
