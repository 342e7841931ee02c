/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_node.h - what the parts of the J1939 node share: sending from the own address, and acknowledging.
 */
#ifndef J1939_NODE_H
#define J1939_NODE_H

#include "bms_config.h"

/* One frame of at most 8 bytes to everybody, filled up with 0xFF. Returns false when there is no room. */
bool j1939_send(uint32_t pgn, uint8_t priority, const uint8_t *data, uint32_t length);

/* Answer a request that asked this node alone; one to everybody (requester J1939_GLOBAL) is not acknowledged. */
void j1939_acknowledge(uint32_t pgn, uint8_t requester, bool positive);

#endif
