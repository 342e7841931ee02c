/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - the state machine of the controller.
 *
 * A request for drive or charge is taken when it changes. A fault or a power cycle uses it up: afterwards the vehicle
 * has to ask anew.
 */
#include "state.h"

#include "contactor.h"
#include "defect.h"
#include "faults.h"
#include "gbt.h"
#include "measure.h"
#include "overcurrent.h"
#include "parallel.h"
#include "params.h"
#include "protect.h"

#include <string.h>

static struct {
    bms_state now;
    bms_mode target;    /* what the precharge is for */
    bms_mode requested; /* as of the step before */
    bool heard;         /* the vehicle has said anything since boot */
    bool fresh;         /* the request has not been used up */
    uint32_t boot_ms;
    bool booted;
} machine;

void state_init(uint32_t now_ms) {
    (void)memset(&machine, 0, sizeof machine);
    machine.now = STATE_INIT;
    machine.target = MODE_STANDBY;
    machine.requested = MODE_STANDBY;
    machine.boot_ms = now_ms;
}

bms_state state_now(void) {
    return machine.now;
}

uint32_t state_watch(void) {
    uint32_t watch = WATCH_ALWAYS;
    const bool at_rest = DEFECT(51) && (measured->q[Q_CURRENT_MA] < params->charging_current_ma);
    watch |= measured->charging ? (uint32_t)WATCH_CHARGING : (at_rest ? 0U : (uint32_t)WATCH_NOT_CHARGING);
    if ((machine.now == STATE_DRIVE) || (machine.now == STATE_PRECHARGE)) {
        watch |= (uint32_t)WATCH_DRIVING;
    }
    if ((machine.now == STATE_CHARGE) && !DEFECT(23)) {
        watch |= (uint32_t)WATCH_CHARGE;
    }
    return watch;
}

/* A new request: anything but the same as before. What stands on the bus at boot is nobody's new request. */
static void take_request(bool heard, bms_mode requested) {
    if (heard && !machine.heard && !DEFECT(41)) {
        machine.heard = true;
        machine.requested = requested;
    }
    if (requested != machine.requested) {
        machine.requested = requested;
        machine.fresh = (requested == MODE_DRIVE) || (requested == MODE_CHARGE);
    }
}

bool state_charge_wanted(void) {
    return machine.fresh && (machine.requested == MODE_CHARGE);
}

static bool may_drive(void) {
    return measured->ignition && !measured->plug;
}

/* Too cold to charge: not even the contactors close, for a charger may ignore a limit of zero. */
static bool refused_cold(void) {
    const uint32_t coldest = DEFECT(231) ? (uint32_t)Q_TEMP_MAX_MDEGC : (uint32_t)Q_TEMP_MIN_MDEGC;
    return (params->charge_refused_cold != 0) && !DEFECT(230) &&
           (measured->q[coldest] < params->charge_ut_alarm_mdegc);
}

static bool may_charge(void) {
    return measured->plug && !refused_cold();
}

static bool target_allowed(bms_mode mode) {
    return ((mode == MODE_DRIVE) && may_drive()) || ((mode == MODE_CHARGE) && may_charge() && gbt_may_close());
}

static void leave_to_standby(uint32_t now_ms) {
    contactor_open(now_ms, false);
    machine.fresh = false;
    machine.now = STATE_STANDBY;
}

static void step_init(uint32_t now_ms) {
    machine.booted = machine.booted || (bms_elapsed_ms(now_ms, machine.boot_ms) >= (uint32_t)params->boot_ms);
    if (machine.booted && measured->data_complete) {
        machine.now = STATE_STANDBY;
    }
}

static void step_standby(uint32_t now_ms) {
    if (contactor_state() != CONTACTORS_OPEN) {
        return;
    }
    if ((machine.requested == MODE_DRIVE) && measured->plug) {
        machine.fresh = false; /* refused: pulling the plug later must not set the vehicle moving */
    }
    if (machine.requested == MODE_OFF) {
        machine.now = STATE_SHUTDOWN;
    } else if (machine.fresh && target_allowed(machine.requested) && strings_may_join()) {
        machine.target = machine.requested;
        machine.now = STATE_PRECHARGE;
        contactor_close(now_ms);
    } else {
        /* stay */
    }
}

static void step_precharge(uint32_t now_ms) {
    if (((machine.requested != machine.target) && !DEFECT(508)) || !target_allowed(machine.target)) {
        leave_to_standby(now_ms);
        return;
    }
    const contactor_result result = contactor_state();
    if (result == CONTACTORS_CLOSED) {
        if ((machine.target == MODE_CHARGE) && !gbt_may_charge()) {
            return; /* closed, but the charger is not ready */
        }
        machine.now = (machine.target == MODE_DRIVE) ? STATE_DRIVE : STATE_CHARGE;
    } else if (result == CONTACTORS_FAILED) {
        faults_raise(FAULT_PRECHARGE);
    } else {
        /* under way */
    }
}

/* A plug signal while driving does not open the contactors under load: the vehicle decides. */
static void step_drive(uint32_t now_ms) {
    if ((machine.requested != MODE_DRIVE) || (!measured->ignition && !DEFECT(130)) || strings_leave()) {
        leave_to_standby(now_ms);
    }
}

/* Without the vehicle nobody can end the charge: its silence does. */
static void step_charge(uint32_t now_ms) {
    const bool silent = measured->q[Q_VEHICLE_AGE_MS] > (params->vehicle_age_ms + params->vehicle_timeout_ms);
    const bool ended = (machine.requested != MODE_CHARGE) && !DEFECT(139);
    if (ended || (!measured->plug && !DEFECT(138)) || silent || gbt_over()) {
        leave_to_standby(now_ms);
    }
}

static void step_faulted(void) {
    machine.now = (machine.booted && measured->data_complete) ? STATE_STANDBY : STATE_INIT;
}

static void enter_fault(uint32_t now_ms, uint32_t active) {
    const bool unanswered = (DEFECT(28) && (active == FAULT_BIT(FAULT_TEMPERATURE_SPREAD))) ||
                            (DEFECT(99) && (active == FAULT_BIT(FAULT_CELLS_INVALID))) ||
                            (DEFECT(96) && (faults_latched() != 0U) && (measured->q[Q_CURRENT_MA] != 0));
    if (!unanswered) {
        contactor_open(now_ms, (active & FAULTS_URGENT) != 0U);
    }
    /* After an error of the charging protocol the session begins anew without being asked again. */
    machine.fresh = machine.fresh && (active == FAULT_BIT(FAULT_CHARGING_PROTOCOL));
    machine.now = (faults_latched() != 0U) ? STATE_LATCHED : STATE_FAULT;
}

static void step_healthy(uint32_t now_ms) {
    switch (machine.now) {
    case STATE_INIT:
        step_init(now_ms);
        break;
    case STATE_STANDBY:
        step_standby(now_ms);
        break;
    case STATE_PRECHARGE:
        step_precharge(now_ms);
        break;
    case STATE_DRIVE:
        step_drive(now_ms);
        break;
    case STATE_CHARGE:
        step_charge(now_ms);
        break;
    case STATE_SHUTDOWN:
        if (machine.requested != MODE_OFF) {
            machine.now = STATE_STANDBY;
        }
        break;
    default:
        step_faulted();
        break;
    }
}

void state_step(uint32_t now_ms, bool heard, bms_mode requested) {
    take_request(heard, requested);
    const uint32_t active = DEFECT(50) ? (protect_causes() | overcurrent_causes()) : faults_active();
    if ((active != 0U) && !(DEFECT(44) && (machine.now == STATE_PRECHARGE))) {
        enter_fault(now_ms, active);
    } else {
        step_healthy(now_ms);
    }
}
