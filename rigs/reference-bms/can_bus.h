/* SPDX-License-Identifier: Apache-2.0
 *
 * can_bus.h - supervision of the CAN controller: what to do when it is bus-off.
 *
 * A controller that has gone bus-off is restarted after a back-off: short for the first tries, then long, so that a
 * node that is itself the trouble leaves the bus to the others. After a while on the bus the tries count anew.
 */
#ifndef CAN_BUS_H
#define CAN_BUS_H

#include "bms_config.h"

void can_bus_init(uint32_t now_ms);

/* Every 10 ms, before protect_step. Puts Q_CAN_OFF; the fault memory gets an entry each time the bus is lost. */
void can_bus_step(uint32_t now_ms, bool bus_off);

bool can_bus_online(void);
bool can_bus_stable(void); /* no restart lately */

/* The controller shall begin to recover now: true for one step. */
bool can_bus_restart(void);

#endif
