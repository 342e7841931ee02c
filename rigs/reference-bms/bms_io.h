/* SPDX-License-Identifier: Apache-2.0
 *
 * bms_io.h - what the application reads and drives, apart from CAN. The port fills and takes it in every step.
 */
#ifndef BMS_IO_H
#define BMS_IO_H

#include "bms_config.h"

enum { IO_VALID = 0x01, IO_OPEN_WIRE = 0x02 };

enum { CONTACTOR_POSITIVE = 0, CONTACTOR_NEGATIVE, CONTACTOR_PRECHARGE, CONTACTOR_COUNT };

typedef struct {
    const int32_t *cell_uv;     /* [n_cells] */
    const uint8_t *cell_flags;  /* [n_cells] IO_VALID, IO_OPEN_WIRE */
    const uint16_t *cell_age_ms; /* [n_cells] */
    const int32_t *temp_mdegc;  /* [n_temps] */
    const uint8_t *temp_flags;  /* [n_temps] IO_VALID */
    int32_t current_ma;         /* positive = discharge */
    int32_t pack_mv;
    int32_t link_mv;
    int32_t charger_mv;
    int32_t insulation_ohm;
    int32_t supply_mv;
    bool current_valid;
    bool pack_valid;
    bool link_valid;
    bool insulation_valid;
    bool ignition;
    bool plug;
    bool hvil_closed;
    bool crash;
    bool can_bus_off;
    bool aux_closed[CONTACTOR_COUNT];
} bms_inputs;

#endif
