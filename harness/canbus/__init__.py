# SPDX-License-Identifier: Apache-2.0
"""CAN: product databases, batch decoding, end-to-end protection, product profiles and recordings."""
