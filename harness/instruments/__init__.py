# SPDX-License-Identifier: Apache-2.0
"""The bench: instruments that give the controller its inputs, their limits, and the way to the safe state."""
