/* SPDX-License-Identifier: Apache-2.0
 *
 * gbt_receive.c - the messages of the charger.
 */
#include "gbt_parts.h"
#include "params.h"

#include <string.h>

#define STEP_V_MV 100 /* 0.1 V */
#define STEP_A_MA 100 /* 0.1 A, offset -400 A */
#define OFFSET_MA 400000

static gbt_words said;

void gbt_receive_init(void) {
    (void)memset(&said, 0, sizeof said);
}

gbt_words *gbt_said(void) {
    return &said;
}

static int32_t word(const uint8_t *data) {
    return (int32_t)((uint32_t)data[0] | ((uint32_t)data[1] << 8U));
}

static void take_cml(const uint8_t *data) {
    said.most_mv = word(&data[0]) * STEP_V_MV;
    said.least_mv = word(&data[2]) * STEP_V_MV;
    said.most_ma = OFFSET_MA - (word(&data[4]) * STEP_A_MA);
    said.heard |= (uint32_t)HEARD_CML;
}

void gbt_push(uint32_t id, uint32_t length, const uint8_t *data) {
    const bool mine = ((id & 0xFFU) == GBT_CHARGER) && (((id >> 8U) & 0xFFU) == GBT_BMS);
    if ((params->gbt == 0) || !mine || (length == 0U)) {
        return;
    }
    switch ((id >> 8U) & 0x3FF00U) {
    case GBT_CHM:
        said.heard |= (uint32_t)HEARD_CHM;
        break;
    case GBT_CRM:
        said.heard |= (uint32_t)HEARD_CRM;
        said.crm = data[0];
        break;
    case GBT_CML:
        if (length >= 8U) {
            take_cml(data);
        }
        break;
    case GBT_CRO:
        said.heard |= (uint32_t)HEARD_CRO;
        said.cro = data[0];
        break;
    case GBT_CCS:
        said.heard |= (length >= 6U) ? (uint32_t)HEARD_CCS : 0U;
        break;
    case GBT_CST:
        said.heard |= (uint32_t)HEARD_CST;
        break;
    case GBT_CSD:
        said.heard |= (uint32_t)HEARD_CSD;
        break;
    case GBT_CEM:
        said.heard |= (uint32_t)HEARD_CEM;
        break;
    default:
        break; /* CTS: the time of day is not needed */
    }
}
