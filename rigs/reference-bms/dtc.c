/* SPDX-License-Identifier: Apache-2.0
 *
 * dtc.c - a diagnostic trouble code per fault, with the status bits of ISO 14229-1, kept over power cycles.
 */
#include "dtc.h"

#include "bms_assert.h"
#include "defect.h"
#include "faults.h"
#include "measure.h"
#include "nvm.h"
#include "params.h"
#include "protect.h"
#include "state.h"

#include <string.h>

#define WATCHES 5U /* bits of WATCH_* */
#define FIRST_NUMBER 0x1A0000U
#define NEW_STATUS ((uint8_t)DTC_NOT_TESTED_SINCE_CLEAR | (uint8_t)DTC_NOT_TESTED_THIS_CYCLE)

static struct {
    uint8_t status[FAULT_COUNT]; /* without DTC_FAILED, which is faults_active() */
    uint32_t failing;            /* faults whose failure has been entered */
    uint32_t untested;           /* faults not tested in this cycle */
    uint32_t watched_by[WATCHES]; /* faults that a watch looks at */
    int32_t watched_ms[WATCHES];
} dtc;

/* What protections do not look at is looked at always. */
static void find_watches(void) {
    uint32_t rest = UINT32_MAX;
    for (uint32_t i = 0U; i < protect_table_size; i++) {
        const protect_rule *line = &protect_table[i];
        if (line->fault >= (uint8_t)FAULT_NONE) {
            continue;
        }
        rest &= ~FAULT_BIT(line->fault);
        for (uint32_t watch = 0U; watch < WATCHES; watch++) {
            if (((line->watch >> watch) & 1U) != 0U) {
                dtc.watched_by[watch] |= FAULT_BIT(line->fault);
            }
        }
    }
    dtc.watched_by[0] |= rest & ~FAULT_BIT(FAULT_PRECHARGE);
}

/* The status with which a new cycle begins. */
static uint8_t next_cycle(uint8_t before) {
    const bool passed = (before & ((uint8_t)DTC_FAILED_THIS_CYCLE | (uint8_t)DTC_NOT_TESTED_THIS_CYCLE)) == 0U;
    uint32_t kept = (uint32_t)DTC_CONFIRMED | (uint32_t)DTC_NOT_TESTED_SINCE_CLEAR | (uint32_t)DTC_FAILED_SINCE_CLEAR;
    kept |= (passed && !DEFECT(259)) ? 0U : (uint32_t)DTC_PENDING;
    kept |= DEFECT(258) ? (uint32_t)DTC_FAILED_THIS_CYCLE : 0U;
    kept &= DEFECT(251) ? ~(uint32_t)DTC_CONFIRMED : UINT32_MAX;
    return (uint8_t)((before & kept) | (uint32_t)DTC_NOT_TESTED_THIS_CYCLE);
}

static void enter(uint32_t fault, uint8_t status) {
    dtc.status[fault] = status;
    nvm_store_dtc(fault, status);
}

void dtc_init(void) {
    (void)memset(&dtc, 0, sizeof dtc);
    find_watches();
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        enter(fault, next_cycle(nvm_dtc(fault)));
        dtc.untested |= FAULT_BIT(fault);
    }
    dtc.failing = faults_active(); /* latched in an earlier cycle, and entered there */
}

static void tested(uint32_t faults, uint8_t outcome) {
    const uint8_t pending = (uint8_t)DTC_NOT_TESTED_SINCE_CLEAR | (uint8_t)DTC_NOT_TESTED_THIS_CYCLE;
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        if ((faults & FAULT_BIT(fault)) != 0U) {
            enter(fault, (uint8_t)((dtc.status[fault] & (uint8_t)~pending) | outcome));
        }
    }
    dtc.untested &= ~faults;
}

/* Faults whose test has passed by now, if they have not failed. */
static uint32_t watched_enough(void) {
    const uint32_t watch = state_watch();
    uint32_t enough = 0U;
    for (uint32_t i = 0U; i < WATCHES; i++) {
        if ((((watch >> i) & 1U) != 0U) && (dtc.watched_ms[i] < params->dtc_pass_ms)) {
            dtc.watched_ms[i] += (int32_t)BMS_FAST_MS;
        }
        enough |= (dtc.watched_ms[i] >= params->dtc_pass_ms) ? dtc.watched_by[i] : 0U;
    }
    const bool precharged = (state_now() == STATE_DRIVE) || (state_now() == STATE_CHARGE);
    return enough | (precharged ? FAULT_BIT(FAULT_PRECHARGE) : 0U);
}

/* Seeded defects in when codes go. */
static void seed(uint32_t active) {
    const uint32_t gone = dtc.failing & ~active;
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        const bool released = (gone & FAULT_BIT(fault)) != 0U;
        if (released && (DEFECT(253) || (DEFECT(267) && ((FAULTS_LATCHING & FAULT_BIT(fault)) != 0U)))) {
            dtc_clear(fault);
        }
    }
}

void dtc_step(void) {
    const uint32_t active = faults_active();
    const uint32_t failed = active & ~dtc.failing;
    seed(active);
    dtc.failing = active;
    if (failed != 0U) {
        uint32_t entered = failed & (DEFECT(250) ? ~FAULT_BIT(FAULT_HVIL) : UINT32_MAX);
        entered |= DEFECT(268) ? (failed << 1U) : 0U;
        tested(entered, (uint8_t)DTC_FAILED_THIS_CYCLE | (uint8_t)DTC_PENDING | (uint8_t)DTC_CONFIRMED |
                            (uint8_t)DTC_FAILED_SINCE_CLEAR);
    }
    if ((dtc.untested != 0U) && measured->data_complete) {
        const uint32_t passed = dtc.untested & ~active & watched_enough();
        if (passed != 0U) {
            tested(passed, 0U);
        }
    }
}

uint8_t dtc_status(uint32_t fault) {
    BMS_ASSERT(fault < (uint32_t)FAULT_COUNT, "fault number out of range");
    const uint32_t stuck = DEFECT(252) ? (dtc.status[fault] & (uint32_t)DTC_FAILED_THIS_CYCLE) : 0U;
    const bool failed = ((faults_active() & FAULT_BIT(fault)) | stuck) != 0U;
    return dtc.status[fault] | (failed ? (uint8_t)DTC_FAILED : 0U);
}

uint32_t dtc_number(uint32_t fault) {
    BMS_ASSERT(fault < (uint32_t)FAULT_COUNT, "fault number out of range");
    return FIRST_NUMBER + (fault << 8U);
}

void dtc_clear(uint32_t fault) {
    BMS_ASSERT(fault < (uint32_t)FAULT_COUNT, "fault number out of range");
    if (DEFECT(257)) {
        dtc.status[fault] = NEW_STATUS;
    } else {
        enter(fault, DEFECT(412) ? 0U : NEW_STATUS);
    }
    dtc.failing &= ~FAULT_BIT(fault);
    dtc.untested |= DEFECT(411) ? 0U : FAULT_BIT(fault);
    (void)memset(dtc.watched_ms, 0, sizeof dtc.watched_ms); /* its test begins anew */
}

void dtc_clear_all(void) {
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        dtc_clear(fault);
    }
}

bool dtc_pending(void) {
    const uint32_t watch = state_watch();
    bool pending = false;
    for (uint32_t i = 0U; i < WATCHES; i++) {
        pending = pending || ((((watch >> i) & 1U) != 0U) && (dtc.watched_ms[i] < params->dtc_pass_ms));
    }
    return pending;
}
