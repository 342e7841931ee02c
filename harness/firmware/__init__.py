# SPDX-License-Identifier: Apache-2.0
"""The firmware under test: its port (fil.h), the builder with its cache, the loader with a private copy per session."""
