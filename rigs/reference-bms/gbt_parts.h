/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt_parts.h - what the parts of the GB/T 27930 function know of each other. Nobody else includes it.
 */
#ifndef GBT_PARTS_H
#define GBT_PARTS_H

#include "gbt.h"

#define GBT_BMS 0xF4U
#define GBT_CHARGER 0x56U
#define GBT_RECOGNISED 0xAAU /* in CRM, BRO and CRO: yes */

/* PGNs, of the charger and of the BMS. */
enum {
    GBT_CHM = 0x2600,
    GBT_CRM = 0x0100,
    GBT_CTS = 0x0700,
    GBT_CML = 0x0800,
    GBT_CRO = 0x0A00,
    GBT_CCS = 0x1200,
    GBT_CST = 0x1A00,
    GBT_CSD = 0x1D00,
    GBT_CEM = 0x1F00,
    GBT_BHM = 0x2700,
    GBT_BRM = 0x0200,
    GBT_BCP = 0x0600,
    GBT_BRO = 0x0900,
    GBT_BCL = 0x1000,
    GBT_BCS = 0x1100,
    GBT_BSM = 0x1300,
    GBT_BMV = 0x1500,
    GBT_BMT = 0x1600,
    GBT_BSP = 0x1700,
    GBT_BST = 0x1900,
    GBT_BSD = 0x1C00,
    GBT_BEM = 0x1E00
};

typedef enum {
    GBT_OFF = 0, /* not plugged, or nobody wants to charge */
    GBT_HELLO,
    GBT_RECOGNITION,
    GBT_PARAMETERS,
    GBT_PREPARATION,
    GBT_READY,
    GBT_CHARGING,
    GBT_STOPPING,
    GBT_STATISTICS,
    GBT_DONE,
    GBT_ERROR
} gbt_stage;

/* Time-outs that BEM reports: the number is the bit position of its field. */
enum { GBT_LATE_CRM = 0, GBT_LATE_CRM_AA = 2, GBT_LATE_CML = 8, GBT_LATE_CRO = 10, GBT_LATE_CCS = 16, GBT_LATE_CST = 18,
       GBT_LATE_CSD = 24, GBT_NOT_LATE = 32 };

/* Reasons that BST gives: bit positions of its fields. */
enum { GBT_STOP_SOC = 0, GBT_STOP_CHARGER = 6, GBT_STOP_OTHER = 22, GBT_STOP_CURRENT = 24, GBT_STOP_VOLTAGE = 26 };

enum {
    HEARD_CHM = 1,
    HEARD_CRM = 2,
    HEARD_CML = 4,
    HEARD_CRO = 8,
    HEARD_CCS = 16,
    HEARD_CST = 32,
    HEARD_CSD = 64,
    HEARD_CEM = 128
};

/* What the charger has said. */
typedef struct {
    uint32_t heard; /* HEARD_* since it was cleared */
    uint8_t crm;    /* result in the last CRM */
    uint8_t cro;
    int32_t most_mv; /* of the last CML */
    int32_t least_mv;
    int32_t most_ma;
} gbt_words;

void gbt_receive_init(void);
gbt_words *gbt_said(void);

/* Send what is due in this stage. since_ms: time in the stage, 0 in its first step. */
void gbt_send(const bms_inputs *inputs, gbt_stage stage, uint32_t since_ms);
void gbt_send_reason(uint32_t stop_field); /* what the next BST says */
void gbt_send_late(uint32_t late_field);   /* what the next BEM says */
void gbt_send_init(void);

/* What BCL asks for. */
int32_t gbt_demand_ma(void);
int32_t gbt_demand_mv(void);
void gbt_send_limit(int32_t most_ma, int32_t most_mv); /* of CML: BCL asks for no more */

#endif
