# SPDX-License-Identifier: Apache-2.0
"""Rigs on a bench: scenarios in real time on a controller outside this process, by hand and by plan."""
