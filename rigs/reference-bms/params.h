/* SPDX-License-Identifier: Apache-2.0
 *
 * params.h - the parameter block: every limit of the product by name, with default (LFP, 180 Ah), least and greatest
 * value. The same source serves other chemistries with other values. Units are in the names.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include "bms_config.h"

#include "params_table.h"

typedef struct {
#define PARAM_FIELD(name, standard, least, greatest) int32_t name;
    PARAMS_TABLE(PARAM_FIELD)
#undef PARAM_FIELD
} bms_params;

enum { PARAM_OK = 0, PARAM_UNKNOWN = -1, PARAM_OUT_OF_RANGE = -2 };

typedef struct {
    const char *name;
    int32_t standard;
    int32_t least;
    int32_t greatest;
} param_entry;

/* Read-only for everybody else. */
extern const bms_params *const params;

void params_load_defaults(void);

/* Set one parameter by name. Returns PARAM_OK or why not; *entry is the entry found or NULL. */
int params_set(const char *name, int32_t value, const param_entry **entry);

/* Close the block: from now on params_intact() compares with what is here. */
void params_seal(void);

/* Whether the block is still as it was sealed (self check). */
bool params_intact(void);

/* Value of a parameter by its position in the block, as made with PARAM_INDEX. */
int32_t params_value(uint32_t index);
const char *params_name(uint32_t index);

#define PARAM_INDEX(name) ((uint16_t)(offsetof(bms_params, name) / sizeof(int32_t)))
#define PARAM_COUNT (sizeof(bms_params) / sizeof(int32_t))

#endif
