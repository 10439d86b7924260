"""The judgement: facts become findings, without reading anything."""
