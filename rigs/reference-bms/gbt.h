/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt.h - DC charging with a charger that speaks GB/T 27930-2015: the side of the BMS. Off unless parameter `gbt` is 1.
 *
 * One session: hello, recognition, parameters, preparation (the contactors may close), ready, charging, stopping,
 * statistics. A stage that waits too long, a charger that starts anew or reports an error end the session with
 * FAULT_CHARGING_PROTOCOL; it may begin anew up to three times while plugged.
 */
#ifndef GBT_H
#define GBT_H

#include "bms_io.h"

void gbt_init(void);

/* A frame with 29-bit identifier came, and it was none of the transport. */
void gbt_push(uint32_t id, uint32_t length, const uint8_t *data);

/* Every 10 ms, after the measurements and before the faults are updated. */
void gbt_step(const bms_inputs *inputs, uint32_t now_ms);

uint32_t gbt_causes(void); /* FAULT_BIT mask */

/* Whether contactors may close for charging: the charger fits, and no contactor is welded. Always without GB/T. */
bool gbt_may_close(void);

/* Whether current may flow: the charger is ready. Always without GB/T. */
bool gbt_may_charge(void);

/* Whether the session is over, and the current small enough to open. */
bool gbt_over(void);

#endif
