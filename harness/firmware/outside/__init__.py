# SPDX-License-Identifier: Apache-2.0
"""A controller that is outside of this process, as firmware: a mailbox behind fil.h (outside.c) and its Python face."""
