# SPDX-License-Identifier: Apache-2.0
"""`bms-harness new`: a rig folder from a strange database, to be grown by its user."""
