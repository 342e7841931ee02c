/* SPDX-License-Identifier: Apache-2.0
 *
 * faults.c - which faults are active, which are latched, which came first.
 */
#include "faults.h"

#include "bms_assert.h"
#include "defect.h"
#include "nvm.h"

static struct {
    uint32_t active;
    uint32_t latched;
    uint32_t raised; /* events not yet taken over */
    uint32_t first;
} faults;

void faults_init(uint32_t latched) {
    faults.latched = latched & FAULTS_LATCHING;
    faults.active = faults.latched;
    faults.raised = 0U;
    faults.first = FAULT_NONE;
    for (uint32_t id = 0U; id < (uint32_t)FAULT_COUNT; id++) {
        if (((faults.active & FAULT_BIT(id)) != 0U) && (faults.first == (uint32_t)FAULT_NONE)) {
            faults.first = id;
        }
    }
}

void faults_raise(uint32_t id) {
    BMS_ASSERT(id < (uint32_t)FAULT_COUNT, "fault number out of range");
    faults.raised |= FAULT_BIT(id);
}

/* Write what is new into the fault memory. */
static void record(uint32_t fresh) {
    for (uint32_t id = 0U; id < (uint32_t)FAULT_COUNT; id++) {
        if ((fresh & FAULT_BIT(id)) != 0U) {
            if (faults.first == (uint32_t)FAULT_NONE) {
                faults.first = id;
            }
            nvm_log(id);
        }
    }
}

void faults_update(uint32_t causes, bool reset) {
    uint32_t present = causes | faults.raised;
    if (DEFECT(35) && reset) {
        present = 0U;
    }
    if (DEFECT(45) && (faults.active != 0U)) {
        present &= faults.active;
    }
    const uint32_t latched_before = faults.latched;
    faults.raised = 0U;
    const uint32_t latching = FAULTS_LATCHING & (DEFECT(17) ? ~FAULT_BIT(FAULT_CRASH) : UINT32_MAX);
    const bool forget = reset && !DEFECT(7);
    faults.latched = (forget ? 0U : faults.latched) | (present & latching);
    const uint32_t active = present | faults.latched;
    const uint32_t fresh = active & ~faults.active;
    faults.active = active;
    if (active == 0U) {
        faults.first = FAULT_NONE;
    }
    if (fresh != 0U) {
        record(fresh);
    }
    if ((fresh != 0U) || (faults.latched != latched_before)) {
        nvm_store_latched(faults.latched);
    }
}

uint32_t faults_active(void) {
    return faults.active;
}

uint32_t faults_latched(void) {
    return faults.latched;
}

uint32_t faults_first(void) {
    return faults.first;
}

uint32_t faults_count(uint32_t mask) {
    uint32_t count = 0U;
    for (uint32_t rest = mask; rest != 0U; rest &= rest - 1U) {
        count++;
    }
    return count;
}
