# SPDX-License-Identifier: Apache-2.0
"""What a person or a CI server gets to see: terminal tables, JUnit, JSON, one HTML file that works offline."""
