/* SPDX-License-Identifier: Apache-2.0
 *
 * nvm.c - non-volatile image: latched faults, trouble codes, fault memory, charge and counters,
 * guarded by version and CRC-32.
 *
 * Layout, little endian: magic 4, version 2, size 2, cycles 4, latched 4, charge 8, throughput 4, occurrences 33,
 * next 1, used 1, spare 1, entries 16 x 8 (kind 1, spare 1, cycle 2, time 4), writes 4, status of trouble codes 32,
 * spare 4, CRC 4.
 */
#include "nvm.h"

#include "bms_assert.h"
#include "crc.h"
#include "defect.h"
#include "faults.h"

#include <string.h>

#define MAGIC 0x31534D42U /* "BMS1" */
#define VERSION 4U
#define AT_VERSION 4U
#define AT_SIZE 6U
#define AT_CYCLES 8U
#define AT_LATCHED 12U
#define AT_CHARGE 16U
#define AT_THROUGHPUT 24U
#define AT_OCCURRENCES 28U
#define AT_NEXT 61U
#define AT_USED 62U
#define AT_ENTRIES 64U
#define ENTRY_SIZE 8U
#define AT_WRITES 192U
#define AT_DTCS 196U
#define NEVER_TESTED 0x50U /* the status in dtc.h */
#define AT_CRC (NVM_SIZE - 4U)

_Static_assert(AT_ENTRIES + (NVM_ENTRIES * ENTRY_SIZE) <= AT_WRITES, "entries fit");
_Static_assert(AT_DTCS + NVM_DTCS <= AT_CRC, "trouble codes fit");
_Static_assert(AT_OCCURRENCES + NVM_KINDS <= AT_NEXT, "occurrences fit");
_Static_assert((uint32_t)FAULT_COUNT <= NVM_DTCS, "a trouble code per fault");
_Static_assert((int)FAULT_COUNT <= (int)EVENT_CAN_BUS_OFF, "numbers of faults and events do not meet");

static struct {
    uint32_t cycles;
    uint32_t latched;
    int64_t charge_uah;
    uint32_t throughput_mah;
    uint32_t writes;
    uint8_t occurrences[NVM_KINDS];
    uint8_t dtc[NVM_DTCS];
    uint8_t next; /* position the next entry goes to */
    uint8_t used;
    nvm_entry entry[NVM_ENTRIES];
    uint32_t operating_s; /* in this cycle; not stored */
    bool dirty;
    uint8_t image[NVM_SIZE];
} nvm;

static void put(uint32_t at, uint64_t value, uint32_t bytes) {
    for (uint32_t i = 0U; i < bytes; i++) {
        nvm.image[at + i] = (uint8_t)(value >> (8U * i));
    }
}

static uint64_t get(const uint8_t *image, uint32_t at, uint32_t bytes) {
    uint64_t value = 0U;
    for (uint32_t i = 0U; i < bytes; i++) {
        value |= (uint64_t)image[at + i] << (8U * i);
    }
    return value;
}

static uint32_t crc_of(const uint8_t *image) {
    uint32_t crc = CRC32_INITIAL;
    for (uint32_t i = 0U; i < AT_CRC; i++) {
        crc = crc32_byte(crc, image[i]);
    }
    return ~crc;
}

static bool sound(const uint8_t *image, uint32_t size) {
    return (size == NVM_SIZE) && ((uint32_t)get(image, 0U, 4U) == MAGIC) &&
           ((uint32_t)get(image, AT_VERSION, 2U) == VERSION) && ((uint32_t)get(image, AT_SIZE, 2U) == NVM_SIZE) &&
           (((uint32_t)get(image, AT_CRC, 4U) == crc_of(image)) || DEFECT(34)) && (image[AT_NEXT] < NVM_ENTRIES) &&
           (image[AT_USED] <= NVM_ENTRIES);
}

static void take(const uint8_t *image) {
    nvm.cycles = (uint32_t)get(image, AT_CYCLES, 4U);
    nvm.latched = (uint32_t)get(image, AT_LATCHED, 4U);
    nvm.charge_uah = (int64_t)get(image, AT_CHARGE, 8U);
    nvm.throughput_mah = (uint32_t)get(image, AT_THROUGHPUT, 4U);
    nvm.writes = (uint32_t)get(image, AT_WRITES, 4U);
    (void)memcpy(nvm.occurrences, &image[AT_OCCURRENCES], sizeof nvm.occurrences);
    (void)memcpy(nvm.dtc, &image[AT_DTCS], sizeof nvm.dtc);
    nvm.next = image[AT_NEXT];
    nvm.used = image[AT_USED];
    for (uint32_t i = 0U; i < NVM_ENTRIES; i++) {
        const uint32_t at = AT_ENTRIES + (i * ENTRY_SIZE);
        nvm.entry[i].kind = image[at];
        nvm.entry[i].cycle = (uint16_t)get(image, at + 2U, 2U);
        nvm.entry[i].time_s = (uint32_t)get(image, at + 4U, 4U);
    }
}

int nvm_init(const uint8_t *image, uint32_t size, bool expected) {
    (void)memset(&nvm, 0, sizeof nvm);
    (void)memset(nvm.dtc, (int)NEVER_TESTED, sizeof nvm.dtc);
    nvm.charge_uah = -1;
    int result = expected ? NVM_BROKEN : NVM_NEW;
    if (image != NULL) {
        result = sound(image, size) ? NVM_GOOD : NVM_BROKEN;
        if (result == NVM_GOOD) {
            take(image);
        }
    }
    nvm.cycles++;
    nvm.dirty = true;
    nvm_flush();
    return result;
}

void nvm_flush(void) {
    if (!nvm.dirty) {
        return;
    }
    nvm.dirty = false;
    nvm.writes++;
    put(0U, MAGIC, 4U);
    put(AT_VERSION, VERSION, 2U);
    put(AT_SIZE, NVM_SIZE, 2U);
    put(AT_CYCLES, nvm.cycles, 4U);
    put(AT_LATCHED, nvm.latched, 4U);
    put(AT_CHARGE, (uint64_t)nvm.charge_uah, 8U);
    put(AT_THROUGHPUT, nvm.throughput_mah, 4U);
    (void)memcpy(&nvm.image[AT_OCCURRENCES], nvm.occurrences, sizeof nvm.occurrences);
    (void)memcpy(&nvm.image[AT_DTCS], nvm.dtc, sizeof nvm.dtc);
    nvm.image[AT_NEXT] = nvm.next;
    nvm.image[AT_USED] = nvm.used;
    for (uint32_t i = 0U; i < NVM_ENTRIES; i++) {
        const uint32_t at = AT_ENTRIES + (i * ENTRY_SIZE);
        nvm.image[at] = nvm.entry[i].kind;
        put(at + 2U, nvm.entry[i].cycle, 2U);
        put(at + 4U, nvm.entry[i].time_s, 4U);
    }
    put(AT_WRITES, nvm.writes, 4U);
    put(AT_CRC, crc_of(nvm.image), 4U);
}

void nvm_store_latched(uint32_t latched) {
    nvm.latched = DEFECT(3) ? 0U : latched;
    nvm.dirty = true;
}

void nvm_store_charge(int64_t charge_uah, uint32_t throughput_mah) {
    nvm.dirty = nvm.dirty || (charge_uah != nvm.charge_uah) || (throughput_mah != nvm.throughput_mah);
    nvm.charge_uah = DEFECT(133) ? nvm.charge_uah : charge_uah;
    nvm.throughput_mah = throughput_mah;
}

void nvm_store_dtc(uint32_t fault, uint8_t status) {
    BMS_ASSERT(fault < NVM_DTCS, "fault number out of range");
    nvm.dirty = nvm.dirty || (nvm.dtc[fault] != status);
    nvm.dtc[fault] = status;
}

void nvm_log(uint32_t kind) {
    BMS_ASSERT(kind < (uint32_t)NVM_KINDS, "kind of entry out of range");
    if (nvm.occurrences[kind] < UINT8_MAX) {
        nvm.occurrences[kind]++;
    }
    nvm.entry[nvm.next].kind = (uint8_t)kind;
    nvm.entry[nvm.next].cycle = (uint16_t)nvm.cycles;
    nvm.entry[nvm.next].time_s = nvm.operating_s;
    nvm.next = (uint8_t)((nvm.next + 1U) % NVM_ENTRIES);
    nvm.used = (nvm.used < NVM_ENTRIES) ? (uint8_t)(nvm.used + 1U) : nvm.used;
    nvm.dirty = true;
}

void nvm_tick(void) {
    nvm.operating_s++;
}

void nvm_pass(uint32_t seconds, int64_t charge_uah, uint32_t throughput_mah) {
    const int64_t moved_uah = (charge_uah > nvm.charge_uah) ? (charge_uah - nvm.charge_uah)
                                                            : (nvm.charge_uah - charge_uah);
    const uint32_t changes = (moved_uah < (int64_t)seconds) ? (uint32_t)moved_uah : seconds;
    nvm.operating_s += seconds;
    if (changes > 0U) {
        nvm.writes += changes - 1U;
        nvm_store_charge(charge_uah, throughput_mah);
        nvm_flush();
    }
}

uint32_t nvm_read(uint8_t *buffer, uint32_t size) {
    if (size < NVM_SIZE) {
        return 0U;
    }
    (void)memcpy(buffer, nvm.image, NVM_SIZE);
    return NVM_SIZE;
}

uint32_t nvm_latched(void) {
    return nvm.latched;
}

int64_t nvm_charge_uah(void) {
    return nvm.charge_uah;
}

uint32_t nvm_throughput_mah(void) {
    return nvm.throughput_mah;
}

uint32_t nvm_cycles(void) {
    return nvm.cycles;
}

uint32_t nvm_operating_s(void) {
    return nvm.operating_s;
}

nvm_entry nvm_newest(void) {
    const nvm_entry none = {(uint8_t)NVM_NO_ENTRY, 0U, 0U};
    return (nvm.used == 0U) ? none : nvm.entry[(nvm.next + NVM_ENTRIES - 1U) % NVM_ENTRIES];
}

uint32_t nvm_occurrences(uint32_t kind) {
    BMS_ASSERT(kind < (uint32_t)NVM_KINDS, "kind of entry out of range");
    return nvm.occurrences[kind];
}

uint8_t nvm_dtc(uint32_t fault) {
    BMS_ASSERT(fault < NVM_DTCS, "fault number out of range");
    return nvm.dtc[fault];
}

uint32_t nvm_writes(void) {
    return nvm.writes;
}
