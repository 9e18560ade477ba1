/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What roostd is told. The defaults, the file, the environment and the command line are put in this
 * order, each text through its check (cluster/settings.h), so what arguments_read() gives cannot be
 * wrong. One table has the options as the command line and the help know them; those that are settings
 * come first, and a second table, in their order, says where each goes.
 */
#include "agent/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/settings.h"
#include "lib/args.h"
#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/text.h"
#include "store/kube/kube.h"

static const char help_head[] =
	"usage: roostd [OPTION...]\n"
	"       roostd --check [OPTION...] [FILE]\n"
	"\n"
	"The node agent of roost: claims blocks of addresses for this node, keeps its routes,\n"
	"tunnels and NAT right, and feeds BIRD. It stays in the foreground and logs to stderr.\n"
	"\n";
static const char help_tail[] =
	"\n"
	"HOW: first-found, skip-interface=REGEX[,REGEX...], interface=REGEX[,REGEX...],\n"
	"can-reach=ADDRESS, cidr=NET[,NET...], kubernetes, an address, or none.\n"
	"\n"
	"The command line wins over the environment (ROOST_NODE, ROOST_STORE, ROOST_DATA_DIR,\n"
	"ROOST_SOCKET, ROOST_STATE_DIR, ROOST_CONFIG), that one over the file; NODE_NAME counts\n"
	"when none of them names the node. SIGHUP reads the settings again; SIGTERM and SIGINT "
	"end\n"
	"the agent and leave pods and routes as they are.\n"
	"docs/AGENT.md describes everything.\n";

#define AT(field) SCHEMA_AT(struct agent_conf, field)

enum {
	OPTION_NODE,
	OPTION_STORE,
	OPTION_DATA_DIR,
	OPTION_SOCKET,
	OPTION_ADDRESS4,
	OPTION_ADDRESS6,
	OPTION_LOG_LEVEL,
	SETTINGS, /* the rest has no setting of its own */
	OPTION_STATE_DIR = SETTINGS,
	OPTION_CONFIG,
	OPTION_CHECK,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct args_option options[] = {
	{OPTION_NODE, 0, "node", "NAME", "this node's name in the cluster (the host's name)"},
	{OPTION_STORE, 0, "store", "URL",
		"the cluster store: file:PATH, etcd:URL[,URL...], kube:[KUBECONFIG] or "
		"kube-podcidr:[KUBECONFIG] (file:DATA_DIR/store)"},
	{OPTION_DATA_DIR, 0, "data-dir", "DIR", "what must survive a reboot (/var/lib/roost)"},
	{OPTION_SOCKET, 0, "socket", "PATH",
		"where roostctl and pods that start ask (/run/roost/agent.sock)"},
	{OPTION_ADDRESS4, 0, "address4", "HOW",
		"this node's IPv4 address (first-found), see below"},
	{OPTION_ADDRESS6, 0, "address6", "HOW", "this node's IPv6 address (none), see below"},
	{OPTION_LOG_LEVEL, 0, "log-level", "LEVEL", "error, warning, info or debug (info)"},
	{OPTION_STATE_DIR, 0, "state-dir", "DIR",
		"folder of the node state; again for each network of this host (/run/roost/state)"},
	{OPTION_CONFIG, 0, "config", "FILE",
		"JSON file with these settings and more (/etc/roost/roostd.json)"},
	{OPTION_CHECK, 0, "check", NULL,
		"say whether the settings, or those of FILE, are right, and end with 0 or 2"},
	{OPTION_HELP, 'h', "help", NULL, "this text"},
	{OPTION_VERSION, 0, "version", NULL, "the version of roostd"},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct setting {
	const char *variable; /* NULL: none */
	setting_fn *put;
	size_t offset, size; /* of its field */
} settings[SETTINGS] = {
	[OPTION_NODE] = {"ROOST_NODE", setting_node, AT(node)},
	[OPTION_STORE] = {"ROOST_STORE", setting_store, AT(store.url)},
	[OPTION_DATA_DIR] = {"ROOST_DATA_DIR", setting_path, AT(data_dir)},
	[OPTION_SOCKET] = {"ROOST_SOCKET", setting_socket, AT(socket)},
	[OPTION_ADDRESS4] = {NULL, setting_detect4, AT(detect[IPV4])},
	[OPTION_ADDRESS6] = {NULL, setting_detect6, AT(detect[IPV6])},
	[OPTION_LOG_LEVEL] = {NULL, setting_level, AT(log_level)},
};

static void print_help(void)
{
	(void)fputs(help_head, stdout);
	for (size_t i = 0; i < N_OPTIONS; i++)
		args_print_help(stdout, &options[i]);
	(void)fputs(help_tail, stdout);
}

/* A DaemonSet says there which Node it runs on; that is a decision, unlike the host's name. */
static int put_node_name(struct agent_conf *out, struct err *e)
{
	const char *name = getenv("NODE_NAME");
	if (!name || !*name)
		return 0;
	int r = setting_node(name, out->node, sizeof(out->node), e);
	if (r < 0)
		err_add(e, "NODE_NAME");
	return r;
}

/* A kubelet tells each pod of its namespace's API server. */
static void put_server(struct agent_conf *out)
{
	char server[KUBE_SERVER];
	if (kube_server(
		    getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"), server))
		(void)text_copy(out->pod_server, sizeof(out->pod_server), server);
}

/* What "localhost" and the like would be everybody's name. */
static int put_host_name(struct agent_conf *out, struct err *e)
{
	char name[256] = "";
	(void)gethostname(name, sizeof(name) - 1);
	for (char *p = name; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (text_is_dns_name(name) && strcmp(name, "localhost") != 0 &&
		strncmp(name, "localhost.", 10) != 0) {
		(void)text_copy(out->node, sizeof(out->node), name);
		out->node_is_host = true;
		return 0;
	}
	char shown[64];
	(void)text_clean(shown, sizeof(shown), name);
	(void)err_set(e, EINVAL, "the host's name \"%s\" cannot be the node's", shown);
	err_details(e, "give the node a name with --node, ROOST_NODE or \"node\" in the file");
	return -EINVAL;
}

struct given {
	const char *values[SETTINGS]; /* NULL: not given */
	const char *state_dirs[AGENT_CONF_STATE_DIRS + 1];
	size_t n_state_dirs;
	const char *config, *operand;
	bool help, version, check;
};

static int refuse_word(const char *word, struct err *e)
{
	return err_set(e, EINVAL, "unknown argument \"%.60s\"", word);
}

/* A word is the file of --check, which may stand before it. */
static int take_word(struct given *g, const char *word, struct err *e)
{
	if (g->operand)
		return refuse_word(word, e);
	g->operand = word;
	return 0;
}

static int take_operand_as_file(struct given *g, struct err *e)
{
	if (!g->operand || g->help || g->version)
		return 0;
	if (!g->check)
		return refuse_word(g->operand, e);
	if (g->config)
		return err_set(e, EINVAL, "--check takes one file, not \"%.60s\" and \"%.60s\"",
			g->config, g->operand);
	g->config = g->operand;
	return 0;
}

static void take_option(struct given *g, int id, const char *value)
{
	switch (id) {
	case OPTION_STATE_DIR:
		g->n_state_dirs += g->n_state_dirs < AGENT_CONF_STATE_DIRS + 1;
		g->state_dirs[g->n_state_dirs - 1] = value;
		break;
	case OPTION_CONFIG:
		g->config = value;
		break;
	case OPTION_CHECK:
		g->check = true;
		break;
	case OPTION_HELP:
		g->help = true;
		break;
	case OPTION_VERSION:
		g->version = true;
		break;
	default:
		g->values[id] = value;
	}
}

static int parse_arguments(int argc, char **argv, struct given *g, struct err *e)
{
	struct args a = {.argc = argc, .argv = argv, .options = options, .n_options = N_OPTIONS};
	const struct args_option *option = NULL;
	const char *value = NULL;
	int r = 0;
	while ((r = args_next(&a, &option, &value, e)) > 0) {
		if (option)
			take_option(g, option->id, value);
		else
			r = take_word(g, value, e);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : take_operand_as_file(g, e);
}

static const char *get_variable(const char *name)
{
	const char *value = name ? getenv(name) : NULL;
	return value && *value ? value : NULL;
}

/* The command line, else the environment. */
static int take_given(struct given *g, struct agent_conf *out, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < SETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *value = g->values[i] ? g->values[i] : get_variable(s->variable);
		if (!value)
			continue;
		r = s->put(value, (char *)out + s->offset, s->size, e);
		if (r < 0)
			err_add(e, "%s%s", g->values[i] ? "--" : "",
				g->values[i] ? options[i].name : s->variable);
	}
	const char *dir = get_variable("ROOST_STATE_DIR");
	const char *name = g->n_state_dirs ? "--state-dir" : "ROOST_STATE_DIR";
	if (!g->n_state_dirs && dir)
		g->state_dirs[g->n_state_dirs++] = dir;
	if (g->n_state_dirs)
		out->n_state_dirs = 0;
	for (size_t i = 0; r == 0 && i < g->n_state_dirs; i++) {
		r = setting_add_state_dir(g->state_dirs[i], out, e);
		if (r < 0)
			err_add(e, "%s", name);
	}
	return r;
}

static int answer_check(const char *path)
{
	if (path || access(AGENT_CONF_FILE, F_OK) == 0)
		(void)printf("%s is fine\n", path ? path : AGENT_CONF_FILE);
	else
		(void)printf("there is no %s, which is fine\n", AGENT_CONF_FILE);
	return 1;
}

int arguments_read(int argc, char **argv, struct agent_conf *out, struct err *e)
{
	struct given g = {0};
	int r = parse_arguments(argc, argv, &g, e);
	if (r < 0) {
		err_details(e, "roostd --help says what there is");
		return r;
	}
	if (g.help || g.version) {
		if (g.help)
			print_help();
		else
			(void)printf("roostd %s\n", ROOST_VERSION);
		return 1;
	}
	CLEANUP_FREE struct agent_conf *c = mem_new(1, sizeof(*c));
	const char *path = g.config ? g.config : get_variable("ROOST_CONFIG");
	r = agent_conf_read_file(path ? path : AGENT_CONF_FILE, path, c, e);
	put_server(c);
	if (r == 0)
		r = take_given(&g, c, e);
	if (r == 0 && !*c->node)
		r = put_node_name(c, e);
	if (r == 0 && !*c->node)
		r = put_host_name(c, e);
	if (r == 0)
		r = agent_conf_complete(c, e);
	if (r == 0)
		*out = *c;
	return r == 0 && g.check ? answer_check(path) : r;
}
