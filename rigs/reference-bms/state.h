/* SPDX-License-Identifier: Apache-2.0
 *
 * state.h - the state machine of the controller.
 */
#ifndef STATE_H
#define STATE_H

#include "bms_config.h"

/* Values as on the bus. */
typedef enum {
    STATE_OFF = 0,
    STATE_INIT,
    STATE_STANDBY,
    STATE_PRECHARGE,
    STATE_DRIVE,
    STATE_CHARGE,
    STATE_FAULT,
    STATE_LATCHED,
    STATE_SHUTDOWN
} bms_state;

/* Values as on the bus. */
typedef enum { MODE_OFF = 0, MODE_STANDBY, MODE_DRIVE, MODE_CHARGE } bms_mode;

void state_init(uint32_t now_ms);

/* Every 10 ms, after faults_update and before contactor_step. heard: the vehicle has sent a command since boot. */
void state_step(uint32_t now_ms, bool heard, bms_mode requested);

bms_state state_now(void);

/* Whether a request for charging stands that has not been used up. */
bool state_charge_wanted(void);

/* WATCH_* bits that hold in the present state and current direction. */
uint32_t state_watch(void);

#endif
