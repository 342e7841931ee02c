/* SPDX-License-Identifier: Apache-2.0
 *
 * can_tx.h - the messages of dbc/reference-bms.dbc: cyclic, and at once when a state or a flag changes.
 */
#ifndef CAN_TX_H
#define CAN_TX_H

#include "bms_io.h"
#include "can_queue.h"

void can_tx_init(uint16_t variant);

/* Every 10 ms, last in the task. Off line nothing is sent and what waits is thrown away, counters stand; back on line
 * the state and all flags go out at once. */
void can_tx_step(const bms_inputs *inputs, bool online);

/* Move the oldest queued frame out. Returns false when there is none. */
bool can_tx_pop(can_frame *frame);

#endif
