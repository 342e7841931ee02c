/* SPDX-License-Identifier: Apache-2.0
 *
 * can_tx_values.h - the messages that carry measured values, without counter and CRC.
 */
#ifndef CAN_TX_VALUES_H
#define CAN_TX_VALUES_H

#include "bms_io.h"

void can_tx_values_init(uint16_t variant);

/* Which cell and which sensor stand out; looked up only when their message is due. */
void can_tx_find_extremes(const bms_inputs *inputs, bool cells, bool temps);

void can_tx_pack_values(void);
void can_tx_cell_extremes(void);
void can_tx_temp_extremes(void);
void can_tx_sensors(void);
void can_tx_supervision(void);

/* The next group of cells in every slot, of sensors in every second one. */
void can_tx_arrays(const bms_inputs *inputs, uint32_t slot);

/* The messages of the 1 s cycle. slot: 0..99, position in the second. */
void can_tx_seldom(uint32_t slot);

#endif
