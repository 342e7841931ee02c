/* SPDX-License-Identifier: Apache-2.0
 *
 * dtc.h - a diagnostic trouble code per fault, with the status bits of ISO 14229-1, kept over power cycles.
 *
 * One failure confirms a code. It stays until it is cleared on command; nothing else takes it away. An operation cycle
 * is a power cycle.
 */
#ifndef DTC_H
#define DTC_H

#include "bms_config.h"

/* Bits of a status. */
enum {
    DTC_FAILED = 0x01, /* the fault is active now */
    DTC_FAILED_THIS_CYCLE = 0x02,
    DTC_PENDING = 0x04, /* failed in this cycle or the one before; gone after a cycle tested without failure */
    DTC_CONFIRMED = 0x08,
    DTC_NOT_TESTED_SINCE_CLEAR = 0x10,
    DTC_FAILED_SINCE_CLEAR = 0x20,
    DTC_NOT_TESTED_THIS_CYCLE = 0x40
};

#define DTC_AVAILABLE 0x7FU /* there is no warning lamp, bit 0x80 */

/* Begin an operation cycle with the statuses of the one before. After nvm_init and faults_init. */
void dtc_init(void);

/* Every 10 ms, after faults_update and state_step. A test has passed when its fault was watched for dtc_pass_ms in this
 * cycle and since the last clear, and has not failed. */
void dtc_step(void);

bool dtc_pending(void); /* the test of a fault has not been watched for long enough */

uint8_t dtc_status(uint32_t fault);  /* of FAULT_* */
uint32_t dtc_number(uint32_t fault); /* 24 bits: code and failure type, 0x1A0000 + fault * 256: P1A00 and following */

/* Forget codes. One whose fault is still active comes back with the next step. */
void dtc_clear(uint32_t fault);
void dtc_clear_all(void);

#endif
