/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The settings of a node's agent, which roostctl reads as well: /etc/roost/roostd.json over the defaults.
 * docs/AGENT.md describes every key.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/detect_how.h"
#include "cluster/limits.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/log.h"

#define AGENT_CONF_FILE "/etc/roost/roostd.json"
#define AGENT_CONF_STATE_DIR "/run/roost/state"
#define AGENT_CONF_PATH 256
#define AGENT_CONF_STATE_DIRS 8

struct agent_conf_store {
	char url[1024];
	char prefix[64];
	char ca[AGENT_CONF_PATH], cert[AGENT_CONF_PATH], key[AGENT_CONF_PATH]; /* "": none */
	char user[64], password_file[AGENT_CONF_PATH];
};

/* Network policy; docs/POLICY.md. */
struct agent_conf_policy {
	bool off;	   /* "enforce": "none": nothing of it, and no table */
	bool opens;	   /* "pending": "open": a new pod is free until the agent has seen it */
	bool cuts;	   /* connections that a change forbids end; true */
	bool logs_denied;  /* true */
	bool events;	   /* on Kubernetes what is denied becomes Events, too; true */
	uint32_t cut_mark; /* one bit of ct mark: 0x80000 */
};

struct agent_conf {
	char node[RESOURCE_NAME];      /* default: the host's name, lower case */
	bool node_is_host;	       /* nobody chose it */
	struct agent_conf_store store; /* default: file:DATA_DIR/store */
	char state_dirs[AGENT_CONF_STATE_DIRS][AGENT_CONF_PATH]; /* default: /run/roost/state */
	size_t n_state_dirs;
	char data_dir[AGENT_CONF_PATH]; /* /var/lib/roost: survives a reboot */
	char socket[AGENT_CONF_PATH];	/* /run/roost/agent.sock; at most 107 bytes */
	char socket_group[64];		/* may ask: "" root only */
	struct detect detect[FAMILIES];
	char bird_file[AGENT_CONF_PATH];    /* /run/roost/bird.conf: what we write */
	char bird_socket[AGENT_CONF_PATH];  /* /run/bird/bird.ctl */
	char bird_include[AGENT_CONF_PATH]; /* /etc/bird/roost.d: the operator's own text */
	char bird_group[64];		    /* that may read the file: "bird" */
	char first_pools
		[AGENT_CONF_PATH]; /* a file of IPPools for a cluster without any; "" none */
	char conflist_file[AGENT_CONF_PATH];	 /* in the runtime's folder; "" not our business */
	char conflist_template[AGENT_CONF_PATH]; /* its text: /etc/roost/10-roost.conflist */
	bool default_balancer;	/* load balancers without a class get addresses of ours, too */
	bool routes_static;	/* "routes": "static": no BGP whatever the cluster says */
	bool trust_last_blocks; /* after a reboot without the store */
	uint32_t headroom;	/* free addresses to keep in each pool family, 16 */
	uint32_t heartbeat_s; /* how often it says in the store that it lives, 10; in "kube:" 60 */
	/* "in-cluster", a kubeconfig; "": Kubernetes is not asked */
	char kubernetes[AGENT_CONF_PATH];
	/* "https://HOST:PORT"; "": the kubeconfig's, the pod's */
	char kube_server[AGENT_CONF_PATH];
	char pod_server[AGENT_CONF_PATH]; /* what main found in a pod's environment; "": nothing */
	/* Blocks of a Node that is gone in Kubernetes are free after, 900; 0: never. */
	uint32_t deleted_node_s;
	/* An address without pod and link is released after, 600; 0: never. */
	uint32_t leaked_address_s;
	uint32_t idle_block_s; /* an empty block beyond the headroom goes back after, 300 */
	uint16_t vxlan_port;   /* 4789 */
	uint32_t vxlan_vni;    /* 4096 */
	char vxlan_device[16]; /* vxlan.roost; IPv6: with "6" appended */
	bool vxlan_offload;    /* of checksums: true */
	struct agent_conf_policy policy;
	uint32_t exits_table; /* 8266: the kernel's routing table of exits */
	enum log_level log_level;
	char log_file[AGENT_CONF_PATH];
};

/* Puts what the file says over the defaults, which are in *out also when there is no file: that is an
 * error when it is wanted. -ENOENT; -EBADMSG: what it says is wrong. */
int agent_conf_read_file(const char *path, bool wanted, struct agent_conf *out, struct err *e);

/* The settings in which two differ and that a running agent does not take up, "store, vxlan.port"; cut when
 * there are many. "": none. */
#define AGENT_CONF_LATE 160
void agent_conf_compare(const struct agent_conf *running, const struct agent_conf *fresh,
	char out[AGENT_CONF_LATE]);

/* The store that it means (store/store.h), which is opened with this. *out points into c. */
struct store_options;
void agent_conf_store(const struct agent_conf *c, struct store_options *out);

/* Of the API server, for that kubeconfig ("" and "in-cluster": the pod's account); NULL: what it says. */
const char *agent_conf_server(const struct agent_conf *c, const char *config);

/* What depends on other settings, when all have been put: the store, the state folders. -EINVAL. */
int agent_conf_complete(struct agent_conf *c, struct err *e);
