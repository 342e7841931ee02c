/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939.h - the controller as a node of a J1939 network: its address, its HVESS messages, requests, and diagnostics.
 *
 * Numbers of parameter groups and their layout are as seen in public databases; where they are not confirmed, the DBC
 * (dbc/working-machine.dbc) says so. On with the parameter j1939; the messages with 11-bit identifiers go on beside.
 */
#ifndef J1939_H
#define J1939_H

#include "bms_config.h"

void j1939_init(void);

/* A frame with 29-bit identifier came. Returns whether it was one of J1939 for this node, or of the transport. */
bool j1939_push(uint32_t id, uint32_t length, const uint8_t *data);

/* Every 10 ms, after can_tx_step; slot: position in the second. Off line nothing is sent and what was under way is
 * forgotten. */
void j1939_step(uint32_t now_ms, uint32_t slot, bool online);

/* Long runs: whether it waits for anything but the cycle of its messages, and time that passes at once. */
bool j1939_busy(void);
void j1939_pass(uint32_t ms);

#endif
