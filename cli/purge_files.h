/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A purge of a machine's files.
 */
#include "cli/purge.h"

/* What a runtime finds: the network configuration and the executables. And the rest: folders of ours. */
void purge_runtime_files(struct purge *p);
void purge_own_files(struct purge *p);
