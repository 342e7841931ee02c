/* SPDX-License-Identifier: Apache-2.0
 *
 * nvm.h - non-volatile image: latched faults, trouble codes, fault memory, charge and counters,
 * guarded by version and CRC-32.
 */
#ifndef NVM_H
#define NVM_H

#include "bms_config.h"

#define NVM_ENTRIES 16U
#define NVM_DTCS 32U
#define NVM_SIZE 236U

enum { NVM_NEW = 0, NVM_GOOD, NVM_BROKEN };

/* What the memory keeps besides faults, in the same numbering; after them. */
enum { EVENT_CAN_BUS_OFF = 32, NVM_KINDS = 33, NVM_NO_ENTRY = 0xFF };

typedef struct {
    uint8_t kind;     /* FAULT_* or EVENT_* */
    uint16_t cycle;   /* power cycle in which it came, lowest 16 bits */
    uint32_t time_s;  /* operating time in that cycle */
} nvm_entry;

/* Read the image of the last power cycle; NULL = factory-new, or lost when one is expected. One that is broken, lost or
 * of another version is replaced by defaults. */
int nvm_init(const uint8_t *image, uint32_t size, bool expected);

void nvm_store_latched(uint32_t latched);
void nvm_store_charge(int64_t charge_uah, uint32_t throughput_mah);
void nvm_store_dtc(uint32_t fault, uint8_t status); /* as in dtc.h */
void nvm_log(uint32_t kind); /* FAULT_* or EVENT_* */

/* Every second. */
void nvm_tick(void);

/* So many seconds have passed, at the end of which the charge is this: it was stored in each in which it changed. */
void nvm_pass(uint32_t seconds, int64_t charge_uah, uint32_t throughput_mah);

/* Write what changed into the image. */
void nvm_flush(void);

/* Copy the image out; returns its size, or 0 when the buffer is too small. */
uint32_t nvm_read(uint8_t *buffer, uint32_t size);

uint32_t nvm_latched(void);
int64_t nvm_charge_uah(void); /* < 0: none stored */
uint32_t nvm_throughput_mah(void);
uint32_t nvm_cycles(void);
uint32_t nvm_operating_s(void);
uint32_t nvm_writes(void);    /* of the image since manufacture, or since it was lost */
nvm_entry nvm_newest(void);   /* kind = NVM_NO_ENTRY when the memory is empty */
uint32_t nvm_occurrences(uint32_t kind);
uint8_t nvm_dtc(uint32_t fault); /* as stored; of a new memory: never tested */

#endif
