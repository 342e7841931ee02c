/* SPDX-License-Identifier: Apache-2.0
 *
 * params.c - the parameter block: defaults, setting by name with range check, seal for the self check.
 */
#include "params.h"

#include "bms_assert.h"
#include "crc.h"

#include <string.h>

static const param_entry table[] = {
#define PARAM_ENTRY(name, standard, least, greatest) {#name, (standard), (least), (greatest)},
    PARAMS_TABLE(PARAM_ENTRY)
#undef PARAM_ENTRY
};

_Static_assert((sizeof table / sizeof table[0]) == PARAM_COUNT, "one entry per field");

/* Both views of the block: by name for its users, by position for tables. */
static union {
    bms_params named;
    int32_t by_index[PARAM_COUNT];
} block;

static uint32_t seal;

const bms_params *const params = &block.named;

void params_load_defaults(void) {
    for (uint32_t i = 0U; i < PARAM_COUNT; i++) {
        block.by_index[i] = table[i].standard;
    }
}

int params_set(const char *name, int32_t value, const param_entry **entry) {
    *entry = NULL;
    for (uint32_t i = 0U; i < PARAM_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *entry = &table[i];
            if ((value < table[i].least) || (value > table[i].greatest)) {
                return PARAM_OUT_OF_RANGE;
            }
            block.by_index[i] = value;
            return PARAM_OK;
        }
    }
    return PARAM_UNKNOWN;
}

static uint32_t checksum(void) {
    uint32_t crc = CRC32_INITIAL;
    for (uint32_t i = 0U; i < PARAM_COUNT; i++) {
        crc = crc32_word(crc, (uint32_t)block.by_index[i]);
    }
    return crc;
}

void params_seal(void) {
    seal = checksum();
}

bool params_intact(void) {
    return checksum() == seal;
}

int32_t params_value(uint32_t index) {
    BMS_ASSERT(index < PARAM_COUNT, "parameter index out of range");
    return block.by_index[index];
}

const char *params_name(uint32_t index) {
    BMS_ASSERT(index < PARAM_COUNT, "parameter index out of range");
    return table[index].name;
}
