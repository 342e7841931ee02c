/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt.c - the stages of a GB/T 27930 session and their time-outs.
 */
#include "gbt.h"

#include "contactor.h"
#include "defect.h"
#include "faults.h"
#include "gbt_parts.h"
#include "j1939_tp.h"
#include "measure.h"
#include "params.h"
#include "state.h"

#include <string.h>

#define CRM_MS 30000
#define CRM_AA_MS 5000
#define CML_MS 5000
#define CRO_MS 60000
#define CCS_MS 1000
#define CST_MS 5000
#define CSD_MS 5000
#define ERROR_MS 5000U  /* BEM is sent for so long, then the session may begin anew */
#define RESTARTS 3U
#define OPENING_MS 1500 /* a charger that does not stop is cut off */
#define SMALL_MA 5000

static struct {
    gbt_stage stage;
    uint32_t now_ms;
    uint32_t since_ms;      /* start of the stage */
    uint32_t wait_ms;       /* start of the wait of this stage; in GBT_CHARGING the last CCS */
    uint32_t closed_ms;     /* last time a contactor was not open */
    uint32_t full_ms;       /* since when hardly any current flows */
    uint32_t excess_ms;     /* since when the charger gives too much */
    uint32_t restarts;
    bool refused;           /* no further session with this charger until it is unplugged */
    bool in_excess;
    bool cst;               /* the charger has ended the session, or agreed to its end */
} gbt;

void gbt_init(void) {
    (void)memset(&gbt, 0, sizeof gbt);
    gbt_receive_init();
    gbt_send_init();
    if (params->gbt != 0) {
        j1939_tp_init(GBT_BMS);
    }
}

static bool heard(uint32_t what) {
    return (gbt_said()->heard & what) != 0U;
}

/* ---- stages -------------------------------------------------------------------------------------------------- */

static void enter(gbt_stage stage) {
    gbt.stage = stage;
    gbt.since_ms = gbt.now_ms;
    gbt.wait_ms = gbt.now_ms;
}

static void fail(uint32_t late) {
    gbt_send_late(late);
    j1939_tp_reset();
    enter(GBT_ERROR);
}

static void stop(uint32_t reason) {
    gbt_send_reason(reason);
    gbt.cst = heard(HEARD_CST);
    enter(GBT_STOPPING);
}

/* The limits of the standard, and what the receiver's clock and the bus may be late by. */
static bool late(int32_t limit_ms) {
    return bms_elapsed_ms(gbt.now_ms, gbt.wait_ms) >= (uint32_t)(limit_ms + params->gbt_slack_ms);
}

static bool wanted(void) {
    const uint32_t others = faults_active() & ~FAULT_BIT(FAULT_CHARGING_PROTOCOL);
    return measured->plug && state_charge_wanted() && (others == 0U);
}

static bool fits(void) {
    return DEFECT(273) || ((gbt_said()->most_mv >= measured->pack_mv) && (gbt_said()->least_mv <= measured->pack_mv) &&
                           (gbt_said()->most_ma >= params->gbt_least_ma));
}

static void step_hello(void) {
    if (!wanted()) {
        enter(GBT_OFF);
    } else if (heard(HEARD_CRM)) {
        enter(GBT_RECOGNITION);
    } else if (late(CRM_MS) && !DEFECT(274)) {
        fail(GBT_LATE_CRM);
    } else {
        /* waits for CRM */
    }
}

static void step_recognition(void) {
    if (heard(HEARD_CRM) && ((gbt_said()->crm == GBT_RECOGNISED) || DEFECT(284))) {
        enter(GBT_PARAMETERS);
    } else if (late(CRM_AA_MS) && !DEFECT(275)) {
        fail(GBT_LATE_CRM_AA);
    } else {
        /* waits for CRM(AA) */
    }
}

static void step_parameters(void) {
    if (heard(HEARD_CML)) {
        if (fits()) {
            gbt_send_limit(gbt_said()->most_ma, gbt_said()->most_mv);
            enter(GBT_PREPARATION);
        } else {
            fail(GBT_NOT_LATE);
        }
    } else if (late(CML_MS + (DEFECT(285) ? 2000 : 0)) && !DEFECT(276)) {
        fail(GBT_LATE_CML);
    } else {
        /* waits for CML */
    }
}

static void step_preparation(void) {
    if ((state_now() == STATE_PRECHARGE) && (contactor_state() == CONTACTORS_CLOSED)) {
        enter(GBT_READY);
    }
}

static void step_ready(void) {
    if ((heard(HEARD_CRO) && (gbt_said()->cro == GBT_RECOGNISED)) || DEFECT(277)) {
        gbt.full_ms = gbt.now_ms;
        gbt.in_excess = false;
        enter(GBT_CHARGING);
    } else if (late(CRO_MS) && !DEFECT(278)) {
        fail(GBT_LATE_CRO);
    } else {
        /* waits for CRO(AA) */
    }
}

/* More than was asked for, by the own measurement: what the charger says of itself is no proof. */
static uint32_t excess(void) {
    const bool current = ((-measured->q[Q_CURRENT_MA]) > (gbt_demand_ma() + params->gbt_excess_ma)) && !DEFECT(270);
    const bool voltage = (measured->charger_mv > (gbt_demand_mv() + params->gbt_excess_mv)) && !DEFECT(271);
    return current ? (uint32_t)GBT_STOP_CURRENT : (voltage ? (uint32_t)GBT_STOP_VOLTAGE : 0U);
}

static void watch_excess(void) {
    const uint32_t reason = excess();
    if ((reason == 0U) || !gbt.in_excess) {
        gbt.excess_ms = gbt.now_ms;
    }
    gbt.in_excess = reason != 0U;
    if (gbt.in_excess && (bms_elapsed_ms(gbt.now_ms, gbt.excess_ms) >= (uint32_t)params->gbt_excess_ms)) {
        gbt.refused = true;
        stop(reason);
    }
}

static void step_charging(void) {
    if (heard(HEARD_CCS)) {
        gbt.wait_ms = gbt.now_ms;
    }
    if ((-measured->q[Q_CURRENT_MA]) >= params->gbt_taper_ma) {
        gbt.full_ms = gbt.now_ms;
    }
    if (heard(HEARD_CST) && !DEFECT(279)) {
        stop(GBT_STOP_CHARGER);
    } else if (late(CCS_MS - (DEFECT(286) ? 500 : 0)) && !DEFECT(272)) {
        fail(GBT_LATE_CCS);
    } else if (bms_elapsed_ms(gbt.now_ms, gbt.full_ms) >= (uint32_t)params->gbt_full_ms) {
        stop(GBT_STOP_SOC);
    } else {
        watch_excess();
    }
}

static void step_stopping(void) {
    gbt.cst = gbt.cst || heard(HEARD_CST);
    const bool told = bms_elapsed_ms(gbt.now_ms, gbt.since_ms) >= (uint32_t)params->gbt_told_ms;
    if (gbt.cst && told && (contactor_state() == CONTACTORS_OPEN)) {
        enter(GBT_STATISTICS);
    } else if (!gbt.cst && late(CST_MS) && !DEFECT(280)) {
        fail(GBT_LATE_CST);
    } else {
        /* waits for CST and the contactors */
    }
}

static void step_statistics(void) {
    if (heard(HEARD_CSD)) {
        enter(GBT_DONE);
    } else if (late(CSD_MS) && !DEFECT(281)) {
        fail(GBT_LATE_CSD);
    } else {
        /* waits for CSD */
    }
}

static void step_error(void) {
    if (bms_elapsed_ms(gbt.now_ms, gbt.since_ms) < ERROR_MS) {
        return;
    }
    if (gbt.restarts >= RESTARTS) {
        gbt.refused = gbt.refused || !DEFECT(282);
    } else {
        gbt.restarts++;
    }
    if (!gbt.refused) {
        enter(GBT_OFF);
    }
}

static void step_off(void) {
    const bool offered = heard(HEARD_CHM) || heard(HEARD_CRM);
    if (wanted() && offered && !gbt.refused) {
        enter(GBT_HELLO);
    }
}

/* Under way: the charger knows the BMS by now. */
static bool in_session(void) {
    return (gbt.stage >= GBT_RECOGNITION) && (gbt.stage <= GBT_STATISTICS);
}

static bool began_anew(void) {
    return heard(HEARD_CHM) && (gbt.stage >= GBT_PARAMETERS) && (gbt.stage <= GBT_CHARGING) && !DEFECT(283);
}

static void step_stage(void) {
    switch (gbt.stage) {
    case GBT_HELLO:
        step_hello();
        break;
    case GBT_RECOGNITION:
        step_recognition();
        break;
    case GBT_PARAMETERS:
        step_parameters();
        break;
    case GBT_PREPARATION:
        step_preparation();
        break;
    case GBT_READY:
        step_ready();
        break;
    case GBT_CHARGING:
        step_charging();
        break;
    case GBT_STOPPING:
        step_stopping();
        break;
    case GBT_STATISTICS:
        step_statistics();
        break;
    case GBT_ERROR:
        step_error();
        break;
    default:
        step_off();
        break;
    }
}

/* Pulling the plug ends everything, the account of this charger too. */
static void unplugged(void) {
    gbt.restarts = 0U;
    gbt.refused = false;
    if (gbt.stage != GBT_OFF) {
        j1939_tp_reset();
        enter(GBT_OFF);
    }
}

void gbt_step(const bms_inputs *inputs, uint32_t now_ms) {
    if (params->gbt == 0) {
        return;
    }
    gbt.now_ms = now_ms;
    if (contactor_state() != CONTACTORS_OPEN) {
        gbt.closed_ms = now_ms;
    }
    if (!measured->plug) {
        unplugged();
    } else if (in_session() && heard(HEARD_CEM) && !DEFECT(287)) {
        fail(GBT_NOT_LATE);
    } else if (began_anew()) {
        fail(GBT_NOT_LATE);
    } else if (in_session() && (gbt.stage < GBT_STOPPING) && !wanted()) {
        stop(GBT_STOP_OTHER);
    } else if (heard(HEARD_CST) && ((gbt.stage == GBT_PREPARATION) || (gbt.stage == GBT_READY))) {
        stop(GBT_STOP_CHARGER);
    } else {
        step_stage();
    }
    gbt_said()->heard = 0U;
    j1939_tp_step(now_ms);
    gbt_send(inputs, gbt.stage, bms_elapsed_ms(now_ms, gbt.since_ms));
}

/* ---- for the others ------------------------------------------------------------------------------------------ */

uint32_t gbt_causes(void) {
    const bool wrong = (params->gbt != 0) && ((gbt.stage == GBT_ERROR) || gbt.refused);
    return (wrong && !DEFECT(288)) ? FAULT_BIT(FAULT_CHARGING_PROTOCOL) : 0U;
}

/* Open contactors that leave the link at the voltage of the pack are welded: it would have fallen by now. */
static bool weld_checked(void) {
    const bool settled = bms_elapsed_ms(gbt.now_ms, gbt.closed_ms) >= (uint32_t)params->gbt_weld_ms;
    const int64_t share = ((int64_t)measured->pack_mv * params->gbt_weld_permille) / 1000;
    return DEFECT(289) || (contactor_state() != CONTACTORS_OPEN) ||
           (settled && measured->link_valid && ((int64_t)measured->link_mv < share));
}

bool gbt_may_close(void) {
    const bool stage = (gbt.stage >= GBT_PREPARATION) && (gbt.stage <= GBT_CHARGING);
    return (params->gbt == 0) || (stage && weld_checked()) || DEFECT(290);
}

bool gbt_may_charge(void) {
    return (params->gbt == 0) || (gbt.stage == GBT_CHARGING);
}

bool gbt_over(void) {
    if ((params->gbt == 0) || (gbt.stage == GBT_CHARGING)) {
        return false;
    }
    const bool waited = bms_elapsed_ms(gbt.now_ms, gbt.since_ms) >= (uint32_t)OPENING_MS;
    return (gbt.stage != GBT_STOPPING) || waited || (measured->q[Q_CURRENT_MA] > -SMALL_MA);
}
