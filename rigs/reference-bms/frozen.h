/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.h - readings that stand still although the pack works: a sensor that delivers one value for ever, valid and
 * fresh.
 *
 * A voltage is suspect by the range the pack current has gone through since the reading last changed, the current by
 * the range of the pack voltage. A reading that changes by one step of its resolution is not suspect at all.
 */
#ifndef FROZEN_H
#define FROZEN_H

#include "bms_io.h"

void frozen_init(void);

/* Every 10 ms, after measure_step: at longer intervals a reading that toggles would seem to stand still. Puts
 * Q_CELL_FROZEN_MA (the most suspect cell), Q_PACK_FROZEN_MA, Q_LINK_FROZEN_MA and Q_CURRENT_FROZEN_MV. */
void frozen_step(const bms_inputs *inputs);

#endif
