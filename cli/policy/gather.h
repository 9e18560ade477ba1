/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The world that a command is about: of files (--filename), else of the cluster: Kubernetes' objects by its API,
 * Calico's kinds by the cluster store, and where there is no Kubernetes the pods that agents tell of there.
 */
#include "cli/options.h"
#include "cli/policy/scene.h"
#include "lib/err.h"

/* 0, or a negative errno with its sentence; with files also -EBADMSG without one, as complaints went to stderr. What
 * cannot be read of a cluster is said on stderr, and the rest counts. The caller ends *out in any case. */
int gather(const struct options *o, struct scene *out, struct err *e);
