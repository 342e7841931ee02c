/* SPDX-License-Identifier: Apache-2.0
 *
 * overcurrent.c - time-current curve in both directions and short circuit.
 *
 * Each stage of the curve is a current and how long it may flow without a break. What tripped releases after the
 * current has been small, either direction, for the release time.
 */
#include "overcurrent.h"

#include "defect.h"
#include "faults.h"
#include "measure.h"
#include "nvm.h"
#include "params.h"
#include "seeded_step.h"

#include <string.h>

#define P(name) PARAM_INDEX(name)

typedef struct {
    int32_t sign; /* +1 discharge, -1 charge */
    uint32_t fault;
    uint16_t current_ma;
    uint16_t time_ms;
} stage;

static const stage stages[] = {
    {1, FAULT_SHORT_CIRCUIT, P(short_circuit_discharge_ma), P(short_circuit_ms)},
    {1, FAULT_DISCHARGE_OVERCURRENT, P(discharge_oc_stage1_ma), P(discharge_oc_stage1_ms)},
    {1, FAULT_DISCHARGE_OVERCURRENT, P(discharge_oc_stage2_ma), P(discharge_oc_stage2_ms)},
    {1, FAULT_DISCHARGE_OVERCURRENT, P(discharge_oc_stage3_ma), P(discharge_oc_stage3_ms)},
    {-1, FAULT_SHORT_CIRCUIT, P(short_circuit_charge_ma), P(short_circuit_ms)},
    {-1, FAULT_CHARGE_OVERCURRENT, P(charge_oc_stage1_ma), P(charge_oc_stage1_ms)},
    {-1, FAULT_CHARGE_OVERCURRENT, P(charge_oc_stage2_ma), P(charge_oc_stage2_ms)},
    {-1, FAULT_CHARGE_OVERCURRENT, P(charge_oc_stage3_ma), P(charge_oc_stage3_ms)},
};

#define STAGES (sizeof stages / sizeof stages[0])

static struct {
    int32_t limit_ma[STAGES];
    int32_t limit_ms[STAGES];
    int32_t pending_ms[STAGES];
    int32_t small_ms; /* how long the current has been small */
    uint32_t causes;
} overcurrent;

void overcurrent_init(uint32_t latched_faults) {
    (void)memset(&overcurrent, 0, sizeof overcurrent);
    overcurrent.causes = latched_faults & FAULT_BIT(FAULT_SHORT_CIRCUIT);
    for (uint32_t i = 0U; i < STAGES; i++) {
        overcurrent.limit_ma[i] = (DEFECT(42) && (nvm_cycles() > 1U)) ? INT32_MAX : params_value(stages[i].current_ma);
        const bool long_time = DEFECT(77) && (i == 0U);
        const bool short_time = DEFECT(76) && (i == 7U);
        overcurrent.limit_ms[i] = params_value(stages[long_time ? 1U : (short_time ? 6U : i)].time_ms);
    }
}

/* A short circuit is latched anyway: its cause is gone as soon as the current stays small. */
static void release(int32_t current_ma) {
    const int32_t magnitude = (current_ma < 0) ? -current_ma : current_ma;
    if (magnitude >= params->oc_release_ma) {
        overcurrent.small_ms = 0;
        return;
    }
    overcurrent.small_ms += (int32_t)BMS_FAST_MS;
    if (overcurrent.small_ms >= params->digital_release_ms) {
        overcurrent.causes &= ~FAULT_BIT(FAULT_SHORT_CIRCUIT);
    }
    if (overcurrent.small_ms >= params->oc_release_ms) {
        const uint32_t discharge = DEFECT(480) * FAULT_BIT(FAULT_DISCHARGE_OVERCURRENT);
        overcurrent.causes &= discharge | (DEFECT(481) * FAULT_BIT(FAULT_CHARGE_OVERCURRENT));
    }
}

void overcurrent_step(void) {
    const int32_t current_ma = measured->q[Q_CURRENT_MA];
    for (uint32_t i = 0U; i < STAGES; i++) {
        const int32_t sign = DEFECT(48) ? 1 : stages[i].sign;
        const int32_t limit_ma = overcurrent.limit_ma[(DEFECT(47) && (i == 6U)) ? 2U : i];
        if ((sign * current_ma) <= limit_ma) {
            overcurrent.pending_ms[i] = DEFECT(46) ? overcurrent.pending_ms[i] : 0;
            if (DEFECT(72) && (stages[i].fault != (uint32_t)FAULT_SHORT_CIRCUIT)) {
                break;
            }
            continue;
        }
        const int32_t longest_ms = DEFECT(73) ? bms_min(overcurrent.limit_ms[i], INT16_MAX) : overcurrent.limit_ms[i];
        overcurrent.pending_ms[i] = bms_min(overcurrent.pending_ms[i] + (int32_t)BMS_FAST_MS, longest_ms);
        if (DEFECT(78) && (i == 4U)) {
            continue;
        }
        if (overcurrent.pending_ms[i] >= seeded_step_confirm_ms(overcurrent.limit_ms[i])) {
            overcurrent.causes |= FAULT_BIT(stages[i].fault);
        }
    }
    if (overcurrent.causes != 0U) {
        release(current_ma);
    } else {
        overcurrent.small_ms = 0;
    }
}

uint32_t overcurrent_causes(void) {
    return overcurrent.causes;
}

bool overcurrent_pending(void) {
    bool pending = overcurrent.causes != 0U;
    for (uint32_t i = 0U; i < STAGES; i++) {
        pending = pending || (overcurrent.pending_ms[i] > 0);
    }
    return pending;
}
