// Made by scripts/web.sh types from the server's OpenAPI description.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * Accepts
         * @description What its owner lets a runner run, for whoever builds a campaign: in short, and without names
         *     of people. The runner itself holds every campaign against all of its policy.
         */
        Accepts: {
            /** Backends */
            backends: string[];
            /**
             * Hours
             * @default
             */
            hours: string;
            /** Max Energy Kwh */
            max_energy_kwh?: number | null;
            /** Max Hours */
            max_hours?: number | null;
            /** Models */
            models: string[];
        };
        /** Answered */
        Answered: {
            /** Arms */
            arms: components["schemas"]["ArmFigure"][];
            /** Blocks */
            blocks: number;
            /** Campaign */
            campaign: string;
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Energy Class */
            energy_class: string;
            /** Factors */
            factors: components["schemas"]["Factor"][];
            /** Hardware */
            hardware: string;
            /** Least */
            least: string;
            /** Left Out Blocks */
            left_out_blocks: number;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /**
             * Metric
             * @enum {string}
             */
            metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Most */
            most: string;
            /** Name */
            name: string;
            /** Scatter */
            scatter: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Sentences */
            sentences: string[];
            /** Shares */
            shares: components["schemas"]["Share"][];
            /** Spread */
            spread: number;
            /** Told Apart */
            told_apart: boolean;
            /** Unit */
            unit: string;
        };
        /**
         * ArchiveInfo
         * @description ``GET /api/v1/archive``: what a client has to know before it sends anything.
         */
        ArchiveInfo: {
            /** Archive */
            archive: string;
            /** Board Salt */
            board_salt: string;
            /** Configurations */
            configurations: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Enrolment
             * @enum {string}
             */
            enrolment: "open" | "invitation";
            /** Lem Version */
            lem_version: string;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Max Submission Bytes */
            max_submission_bytes: number;
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Runs */
            runs: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * ArmFigure
         * @description One arm's mean over its blocks.
         */
        ArmFigure: {
            /** Configuration */
            configuration: string | null;
            /** Name */
            name: string;
            /** Uncertainty */
            uncertainty: number | null;
            /** Value */
            value: number;
            /** Values */
            values: (string | number | boolean | null)[];
        };
        /** Campaign */
        Campaign: {
            /** Created At */
            created_at: string;
            /** Enrolled By */
            enrolled_by: string;
            /** Id */
            id: string;
            /** Missing */
            missing: string;
            /** Name */
            name: string;
            /** Queued */
            queued: string | null;
            /**
             * State
             * @enum {string}
             */
            state: "open" | "complete" | "rejected" | "retracted";
            /** Submitter */
            submitter: string;
        };
        /** CampaignAnswer */
        CampaignAnswer: {
            campaign: components["schemas"]["Campaign"];
            /** Citation */
            citation: string;
            /** Configurations */
            configurations: string[];
            /** Counted */
            counted: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Findings */
            findings: components["schemas"]["Finding"][];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Runs */
            runs: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Submissions */
            submissions: components["schemas"]["SubmissionOf"][];
        };
        /** CampaignQueued */
        CampaignQueued: {
            /**
             * Id
             * @description None where all of it is measured already.
             */
            id: string | null;
            /** Notes */
            notes: string[];
            /**
             * Owner Token
             * @description May cancel this campaign and nothing else. Shown this once.
             */
            owner_token: string | null;
            /** @description Of what is queued: its experiments, and what is measured. */
            plan: components["schemas"]["Plan"];
            /**
             * Position
             * @description 1 is next, for a runner that may run it.
             */
            position: number | null;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * State
             * @enum {string}
             */
            state: "queued" | "measured";
            /**
             * Url
             * @description The page of it, live.
             */
            url: string | null;
        };
        /** Campaigns */
        Campaigns: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Next */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["Campaign"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** Cancelled */
        Cancelled: {
            /** Id */
            id: string;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * State
             * @description ``running``: its runner is told within seconds.
             * @enum {string}
             */
            state: "queued" | "running" | "done" | "failed" | "cancelled";
        };
        /**
         * Chosen
         * @description What the answer is about, where the question left it open.
         */
        Chosen: {
            /** Best Tier */
            best_tier: ("self-reported" | "recomputed" | "replicated") | null;
            /**
             * Better
             * @enum {string}
             */
            better: "lower" | "higher";
            /** Energy Class */
            energy_class: string;
            /**
             * Metric
             * @enum {string}
             */
            metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** Tier */
            tier: ("self-reported" | "recomputed" | "replicated") | "best";
            /** Unit */
            unit: string;
        };
        /** Claimed */
        Claimed: {
            /** Begun */
            begun: boolean;
            /** Campaign */
            campaign: string;
            /** Fence */
            fence: number;
            /** Lease S */
            lease_s: number;
            /** Others Fence */
            others_fence?: number | null;
            /** Owner */
            owner: string;
            person: components["schemas"]["Person"];
            /** Queued */
            queued: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** ClaimOf */
        ClaimOf: {
            /** At */
            at: string;
            /** Ended At */
            ended_at: string | null;
            /** Fence */
            fence: number;
            /** Outcome */
            outcome: string | null;
            /** Reason */
            reason: string;
            runner: components["schemas"]["RunnerOf"];
        };
        /**
         * Coded
         * @description ``digits``: of each point the place of its value in ``values``; in two halves, as above,
         *     where there are more than 93 values.
         */
        Coded: {
            /** Digits */
            digits: string;
            /** Values */
            values: (string | number | null)[];
        };
        /** Compared */
        Compared: {
            configuration: components["schemas"]["Configuration"];
            /** Figures */
            figures: components["schemas"]["Figure"][];
            ratio: components["schemas"]["Ratio"] | null;
            /** Settings */
            settings: {
                [key: string]: string | number | boolean | null;
            };
        };
        /** Comparison */
        Comparison: {
            /** Baseline */
            baseline: string;
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Differing */
            differing: string[];
            /** Energy Class */
            energy_class: string;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Margin */
            margin: number;
            /**
             * Metric
             * @enum {string}
             */
            metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Notes */
            notes: string[];
            /** Rows */
            rows: components["schemas"]["Compared"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Unit */
            unit: string;
        };
        /**
         * Configuration
         * @description What was measured, on what: an experiment × device model × count × meter class.
         */
        Configuration: {
            /** Arrival */
            arrival: string;
            /** Backend */
            backend: string;
            /** Best Tier */
            best_tier: ("self-reported" | "recomputed" | "replicated") | null;
            /** Dataset */
            dataset: string;
            /** Device Count */
            device_count: number;
            /** Device Model */
            device_model: string;
            /** Disagrees */
            disagrees: boolean;
            /** Dtype */
            dtype: string;
            /** Energy Class */
            energy_class: string;
            /** Engine Version */
            engine_version: string;
            /** Experiment Id */
            experiment_id: string;
            /** Id */
            id: string;
            /** Input Tokens */
            input_tokens: number | null;
            /** Last At */
            last_at: string | null;
            /** Load */
            load: number | null;
            /** Max Batch Size */
            max_batch_size: number | null;
            /** Meter Class */
            meter_class: string;
            /** Model */
            model: string;
            /** Model Content */
            model_content: string;
            /** Output Tokens */
            output_tokens: number | null;
            /** Quantization */
            quantization: string;
            /** Semantics Version */
            semantics_version: number;
            /** Tensor Parallel Size */
            tensor_parallel_size: number | null;
            /** Weights */
            weights: string;
        };
        /** ConfigurationAnswer */
        ConfigurationAnswer: {
            /** Citation */
            citation: string;
            configuration: components["schemas"]["Configuration"];
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Experiment */
            experiment: {
                [key: string]: unknown;
            };
            /** Figures */
            figures: components["schemas"]["Figure"][];
            /** History */
            history: components["schemas"]["Day"][];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Ratio Replications */
            ratio_replications: components["schemas"]["RatioReplication"][];
            /** Replications */
            replications: components["schemas"]["Replication"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Submitters */
            submitters: components["schemas"]["Submitter"][];
        };
        /** Count */
        Count: {
            /** Configurations */
            configurations: number;
            /** Value */
            value: string | number | null;
        };
        /**
         * Day
         * @description Energy per output token of the runs of one day (UTC).
         */
        Day: {
            /** Date */
            date: string;
            /** Least */
            least: number;
            /** Mean */
            mean: number;
            /** Most */
            most: number;
            /** Runs */
            runs: number;
        };
        /** DeclinedBy */
        DeclinedBy: {
            /** At */
            at: string;
            /** Outcome */
            outcome: string;
            /** Reason */
            reason: string;
            runner: components["schemas"]["RunnerOf"];
            /** Until */
            until: string | null;
        };
        /** Device */
        Device: {
            /** Count */
            count: number;
            /** Memory Bytes */
            memory_bytes?: number | null;
            /** Model */
            model: string;
        };
        /** Done */
        Done: {
            /**
             * Done
             * @default true
             */
            done: boolean;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /**
         * Doubt
         * @description Something in the file that keeps it from being run, though it says what it means.
         */
        Doubt: {
            /** Column */
            column: number | null;
            /** Line */
            line: number | null;
            /** Message */
            message: string;
            /** Where */
            where: string;
        };
        /** Elsewhere */
        Elsewhere: {
            /** Blocks */
            blocks: number;
            /** Campaign */
            campaign: string;
            /** High */
            high: number | null;
            /** Low */
            low: number | null;
            /** Ratio */
            ratio: number;
        };
        /** Enrolled */
        Enrolled: {
            /**
             * Identity
             * @description Of the submitter; keys that replace this one have it too.
             */
            identity: number;
            /** Key */
            key: string;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Enrolment */
        Enrolment: {
            /**
             * Name
             * @description Shown beside results. With an invitation, the name that it was made for.
             * @example Measurement group, Example University
             */
            name: string;
            /**
             * Proof
             * @description The key's signature of the canonical JSON of archive, public_key and purpose "enrol".
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
             */
            proof: string;
            /**
             * Public Key
             * @description Ed25519, raw, base64.
             * @example O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=
             */
            public_key: string;
            /**
             * Secret
             * @description Of the invitation's link.
             * @example null
             */
            secret?: string | null;
        };
        /** Estimate */
        Estimate: {
            /** Basis */
            basis: string;
            /** Blocks */
            blocks: number;
            /** Energy */
            energy: components["schemas"]["EstimatedEnergy"][];
            /** Most Blocks */
            most_blocks: number | null;
            most_seconds: components["schemas"]["Span"];
            price: components["schemas"]["Price"];
            /** Runs */
            runs: number;
            seconds: components["schemas"]["Span"];
            /** Time Budget S */
            time_budget_s: number | null;
            /** To Choose */
            to_choose: number;
            /** Why Blocks */
            why_blocks: string;
            /** Why No Energy */
            why_no_energy: string | null;
        };
        /**
         * EstimatedEnergy
         * @description On one kind of device; or, where nothing like it was measured, by an assumption.
         */
        EstimatedEnergy: {
            /** Assumption */
            assumption?: string | null;
            /**
             * Basis
             * @enum {string}
             */
            basis: "archive" | "assumed";
            /**
             * Configurations
             * @default 0
             */
            configurations: number;
            cost: components["schemas"]["Span"];
            /** Device Count */
            device_count?: number | null;
            /** Device Model */
            device_model?: string | null;
            /** Energy Class */
            energy_class?: string | null;
            energy_j: components["schemas"]["Span"];
            /**
             * Others
             * @default 0
             */
            others: number;
            power_w: components["schemas"]["Span"];
            /**
             * Same
             * @default 0
             */
            same: number;
            /**
             * Same Backend
             * @default 0
             */
            same_backend: number;
        };
        /**
         * Externals
         * @description Measured by others in their own ways: without interval, never ranked with the archive's own.
         *     Each has its source's licence.
         */
        Externals: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Next */
            next: number | null;
            /** Rows */
            rows: components["schemas"]["Listed"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** Facets */
        Facets: {
            /** Citation */
            citation: string;
            /** Classes */
            classes: {
                [key: string]: number;
            };
            /** Configurations */
            configurations: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Dimensions */
            dimensions: {
                [key: string]: components["schemas"]["Count"][];
            };
            /** Energy Class */
            energy_class: string;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Tier */
            tier: ("self-reported" | "recomputed" | "replicated") | null;
        };
        /** Factor */
        Factor: {
            /** Noun */
            noun: string;
            /** Path */
            path: string;
            /** Values */
            values: (string | number | boolean | null)[];
        };
        /**
         * FieldError
         * @description One value that is wrong; the value itself is not repeated.
         */
        FieldError: {
            /**
             * Column
             * @description From 1.
             * @default null
             */
            column: number | null;
            /**
             * Line
             * @description From 1, of a file that was sent.
             * @default null
             */
            line: number | null;
            /**
             * Message
             * @example Input should be less than or equal to 1000
             */
            message: string;
            /**
             * Where
             * @description Place in the request.
             * @example query.limit
             */
            where: string;
        };
        /**
         * Figure
         * @description One figure of a configuration: the mean over its submitters' means.
         */
        Figure: {
            /** Best Run */
            best_run: number;
            /**
             * Better
             * @enum {string}
             */
            better: "lower" | "higher";
            /** Energy Class */
            energy_class: string;
            /** Metric */
            metric: string;
            /** Newest Run */
            newest_run: number;
            /** Runs */
            runs: number;
            /** Submitters */
            submitters: number;
            /**
             * Tier
             * @enum {string}
             */
            tier: "self-reported" | "recomputed" | "replicated";
            /** Uncertainty */
            uncertainty: number | null;
            /** Unit */
            unit: string;
            /** Value */
            value: number;
            /** Why No Uncertainty */
            why_no_uncertainty?: string | null;
        };
        /**
         * Files
         * @description SHA-256 of each file as it was sent (gzip); None where there is none.
         */
        Files: {
            /** Record */
            record: string | null;
            /** Responses */
            responses: string | null;
            /** Trace */
            trace: string | null;
        };
        /**
         * Finding
         * @description What a rule says of a run. ``rule`` is a name of ``lem/trust/rules.py``.
         */
        Finding: {
            /** Arm Id */
            arm_id?: string | null;
            /** Block */
            block?: number | null;
            /**
             * Consequence
             * @enum {string}
             */
            consequence: "note" | "hold" | "reject";
            /** Detail */
            detail: string;
            /** Rule */
            rule: string;
        };
        /**
         * Finish
         * @description ``POST /runners/finish``: the lease ends.
         *
         *     ``done``: every run is made and submitted; where the archive has not all of it, it waits again.
         *     ``failed``: it cannot be run, anywhere, says this runner: that ends it where a runner with
         *     another token says so, too, or where there is no other. ``cancelled``: ended as it was told.
         *     ``declined``: this runner's policy refuses it. ``unfit``: this runner cannot, another may.
         *     ``released``: this runner stops; it, or another, goes on.
         */
        Finish: {
            /** Fence */
            fence: number;
            /** Not Before S */
            not_before_s?: number | null;
            /**
             * Outcome
             * @enum {string}
             */
            outcome: "done" | "failed" | "cancelled" | "declined" | "unfit" | "released";
            /** Queued */
            queued: string;
            /**
             * Reason
             * @default
             */
            reason: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /**
             * Tried
             * @default true
             */
            tried: boolean;
        };
        /** Finished */
        Finished: {
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /**
             * State
             * @enum {string}
             */
            state: "queued" | "running" | "done" | "failed" | "cancelled";
        };
        /**
         * FrontMark
         * @description A point on the front (``/pareto`` says what that is), with its figures as they are.
         */
        FrontMark: {
            /** Row */
            row: number;
            /** X */
            x: number;
            /** X Uncertainty */
            x_uncertainty: number | null;
            /** Y */
            y: number;
            /** Y Uncertainty */
            y_uncertainty: number | null;
        };
        /** FrontPoint */
        FrontPoint: {
            /** By */
            by: string | null;
            configuration: components["schemas"]["Configuration"];
            /**
             * State
             * @enum {string}
             */
            state: "front" | "cannot_tell";
            x: components["schemas"]["Figure"];
            y: components["schemas"]["Figure"];
        };
        /**
         * HandedRun
         * @description An attempt that was submitted before, by whomever: base64 of its gzip, as it was sent.
         */
        HandedRun: {
            /** Arm Id */
            arm_id: string;
            /** Attempt */
            attempt: number;
            /** Block */
            block: number;
            /** Failure */
            failure?: string | null;
            /** Record */
            record?: string | null;
        };
        /**
         * Handover
         * @description ``GET /runners/handover?queued=…&fence=…``: what was submitted of a campaign that was begun.
         *     The runs are public documents: boards and boots by their hashes.
         */
        Handover: {
            /** Lock */
            lock: string;
            /** Queued */
            queued: string;
            /** Runs */
            runs: components["schemas"]["HandedRun"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Hardware
         * @description A runner's machine, without anything that tells whose it is.
         */
        Hardware: {
            /** Cores */
            cores: number;
            /** Cpu */
            cpu: string;
            /**
             * Devices
             * @default []
             */
            devices: components["schemas"]["Device"][];
            /** Memory Bytes */
            memory_bytes: number;
            /**
             * Meters
             * @default []
             */
            meters: string[];
        };
        /** Headline */
        Headline: {
            /** Campaigns */
            campaigns: number;
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            pair: components["schemas"]["HeadlinePair"] | null;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Why None */
            why_none: string[];
        };
        /** HeadlineCampaign */
        HeadlineCampaign: {
            /** Blocks */
            blocks: number;
            /** Id */
            id: string;
            /** Measured At */
            measured_at: string;
            /** Name */
            name: string;
            /** Submitter */
            submitter: string;
        };
        /**
         * HeadlinePair
         * @description ``other`` beside ``base``: ``ratio`` is other ÷ base.
         */
        HeadlinePair: {
            base: components["schemas"]["Side"];
            campaign: components["schemas"]["HeadlineCampaign"];
            /** Compared */
            compared: number;
            /** Device Model */
            device_model: string;
            /** Differing */
            differing: string[];
            /** Energy Class */
            energy_class: string;
            /** Metric */
            metric: string;
            /** Model */
            model: string;
            other: components["schemas"]["Side"];
            quality: components["schemas"]["Quality"];
            ratio: components["schemas"]["Ratio"];
            slo: components["schemas"]["SloOf"] | null;
            /**
             * Tier
             * @enum {string}
             */
            tier: "self-reported" | "recomputed" | "replicated";
            /** Unit */
            unit: string;
            workload: components["schemas"]["WorkloadOf"];
        };
        /** Health */
        Health: {
            /**
             * Lem Version
             * @default 0.1.0
             */
            lem_version: string;
            /**
             * Status
             * @default ok
             */
            status: string;
        };
        /**
         * Heartbeat
         * @description ``POST /runners/heartbeat``: also without a campaign.
         */
        Heartbeat: {
            /**
             * Doing
             * @default
             */
            doing: string;
            /** Fence */
            fence?: number | null;
            /** Queued */
            queued?: string | null;
            /** Runner */
            runner: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Hello
         * @description ``POST /runners/register``: at the start, and again whenever anything of it changes.
         */
        Hello: {
            accepts: components["schemas"]["Accepts"];
            hardware: components["schemas"]["Hardware"];
            /** Instance */
            instance: string;
            /** Key */
            key: string;
            /** Launcher */
            launcher: string;
            /** Lem Version */
            lem_version: string;
            /** Name */
            name: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** InvitationListed */
        InvitationListed: {
            /** Created At */
            created_at: string;
            /** Expires At */
            expires_at: string;
            /**
             * Id
             * @description For taking it back; of no use for joining.
             */
            id: string;
            /** Name */
            name: string;
        };
        /** InvitationMade */
        InvitationMade: {
            /**
             * Link
             * @description Where the server knows its own address: for a browser, or for lem key enrol.
             */
            link: string | null;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * Secret
             * @description Shown this once.
             */
            secret: string;
        };
        /** Invitations */
        Invitations: {
            /** Rows */
            rows: components["schemas"]["InvitationListed"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** InvitationWanted */
        InvitationWanted: {
            /**
             * Name
             * @example Measurement group, Example University
             */
            name: string;
            /**
             * Valid S
             * @default 604800
             */
            valid_s: number;
        };
        /** Joined */
        Joined: {
            person: components["schemas"]["PersonShown"];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * Token
             * @description A submitter's. Shown this once.
             */
            token: string;
        };
        /** Joining */
        Joining: {
            /**
             * Invitation
             * @description Its secret.
             * @example null
             */
            invitation?: string | null;
            /**
             * Name
             * @description Shown beside what is queued. Without it: the name that the invitation was made for.
             * @default
             * @example Ada
             */
            name: string;
        };
        /** KeyListed */
        KeyListed: {
            /** Created At */
            created_at: string;
            /** Enrolled By */
            enrolled_by: string;
            /** Identity */
            identity: number;
            /** Key */
            key: string;
            /** Name */
            name: string;
            /** Replaced By */
            replaced_by: string | null;
            /** Revoked At */
            revoked_at: string | null;
        };
        /** Keys */
        Keys: {
            /**
             * Next
             * @description ``after`` of the next page.
             */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["KeyListed"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Leaderboard */
        Leaderboard: {
            chosen: components["schemas"]["Chosen"];
            /** Citation */
            citation: string;
            /** Configurations */
            configurations: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Next */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["Place"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Listed
         * @description As a server lists it.
         */
        Listed: {
            /** Device Model */
            device_model: string;
            /** Id */
            id: number;
            /** Licence */
            licence: string;
            /**
             * Metric
             * @enum {string}
             */
            metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** Model */
            model: string;
            /**
             * Note
             * @default
             */
            note: string;
            /** Published */
            published: string;
            /** Source */
            source: string;
            /** Url */
            url: string;
            /** Value */
            value: number;
        };
        /**
         * LogEntry
         * @description One entry. ``hash`` is of the canonical JSON of all the others.
         */
        LogEntry: {
            /** At */
            at: string;
            /** Hash */
            hash: string;
            /**
             * Kind
             * @enum {string}
             */
            kind: "accepted" | "reopened" | "tier" | "rejected" | "retracted" | "key_enrolled" | "key_replaced" | "key_revoked";
            /** Payload */
            payload: {
                [key: string]: string | number | string[] | {
                    [key: string]: number;
                };
            };
            /** Previous */
            previous: string;
            /** Seq */
            seq: number;
        };
        /**
         * LogHead
         * @description The last entry: kept by a reader, it holds for all before it.
         */
        LogHead: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Hash */
            hash: string;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Seq */
            seq: number;
        };
        /** LogPage */
        LogPage: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Entries */
            entries: components["schemas"]["LogEntry"][];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Next */
            next: number | null;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Measured
         * @description A configuration that an experiment may be.
         */
        Measured: {
            /** Configuration */
            configuration: string;
            /** Device Count */
            device_count: number;
            /** Device Model */
            device_model: string;
            /** Energy Class */
            energy_class: string;
            /** Engine Version */
            engine_version: string;
            /** Experiment Id */
            experiment_id: string;
            figure: components["schemas"]["Figure"] | null;
            /**
             * Match
             * @enum {string}
             */
            match: "exact" | "alike";
            /** May Differ */
            may_differ: string[];
            /** Meter Class */
            meter_class: string;
            /** Model Content */
            model_content: string;
            /**
             * Tier
             * @enum {string}
             */
            tier: "self-reported" | "recomputed" | "replicated";
        };
        /** NonceGiven */
        NonceGiven: {
            /**
             * Expires At
             * @example 2026-05-04T12:10:00.000+00:00
             */
            expires_at: string;
            /**
             * Nonce
             * @example tqXzO7FGdA8xDLJq4fWnmoYcl0RpsM2nB1CjAhVdKek
             */
            nonce: string;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** NonceWanted */
        NonceWanted: {
            /**
             * Key
             * @example 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29
             */
            key: string;
        };
        /** OwnToken */
        OwnToken: {
            /**
             * Name
             * @description What it is for.
             * @example my laptop
             */
            name: string;
            /**
             * Valid S
             * @description Never longer than the token that asks.
             */
            valid_s?: number | null;
        };
        /** OwnTokenMade */
        OwnTokenMade: {
            about: components["schemas"]["TokenShown"];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * Token
             * @description Shown this once.
             */
            token: string;
        };
        /** ParetoFront */
        ParetoFront: {
            /** Citation */
            citation: string;
            /** Complete */
            complete: boolean;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Dominated */
            dominated: number;
            /** Energy Class */
            energy_class: string;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Points */
            points: components["schemas"]["FrontPoint"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Sentence */
            sentence: string;
            /** Without Both */
            without_both: number;
            /**
             * X Metric
             * @enum {string}
             */
            x_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /**
             * Y Metric
             * @enum {string}
             */
            y_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
        };
        /** People */
        People: {
            /**
             * Next
             * @description ``after`` of the next page.
             */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["PersonListed"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /**
         * Person
         * @description Who queued it.
         */
        Person: {
            /** Id */
            id: string;
            /** Name */
            name: string;
        };
        /** PersonListed */
        PersonListed: {
            /** Created At */
            created_at: string;
            /** Disabled At */
            disabled_at: string | null;
            /** Enrolled By */
            enrolled_by: string;
            /** Id */
            id: string;
            /**
             * Invited As
             * @description The name on the invitation.
             */
            invited_as: string | null;
            /** Name */
            name: string;
            /**
             * Tokens
             * @description Valid ones.
             */
            tokens: number;
            /**
             * Used On
             * @description The last day on which one of them was used.
             */
            used_on: string | null;
        };
        /** PersonShown */
        PersonShown: {
            /**
             * Id
             * @example p29da51b30aa47fd16e32
             */
            id: string;
            /** Name */
            name: string;
        };
        /** Place */
        Place: {
            configuration: components["schemas"]["Configuration"];
            figure: components["schemas"]["Figure"];
            /** Rank */
            rank: number | null;
        };
        /** Plan */
        Plan: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Doubts */
            doubts: components["schemas"]["Doubt"][];
            estimate: components["schemas"]["Estimate"] | null;
            /** Experiments */
            experiments: components["schemas"]["PlannedExperiment"][];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Measured */
            measured: number;
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Missing */
            missing: number;
            /** Name */
            name: string;
            /** Notes */
            notes: string[];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** PlannedExperiment */
        PlannedExperiment: {
            /** Backend */
            backend: string;
            /** Baseline */
            baseline: boolean;
            /** Experiment Id */
            experiment_id: string;
            /** Label */
            label: string;
            /** Measured */
            measured: components["schemas"]["Measured"][];
            /** Model */
            model: string;
            /** Provisional */
            provisional: boolean;
            /** Settings */
            settings: {
                [key: string]: string | number | boolean | null;
            };
        };
        /** PointRow */
        PointRow: {
            configuration: components["schemas"]["Configuration"] | null;
            /** Id */
            id: string;
            /** Row */
            row: number | null;
            x: components["schemas"]["Figure"] | null;
            y: components["schemas"]["Figure"] | null;
        };
        /** PointRows */
        PointRows: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Rows */
            rows: components["schemas"]["PointRow"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Points
         * @description In the order of x. A digit is a printable character of ASCII without ``"`` and the backslash,
         *     and stands for its place among them: 0 to 92.
         */
        Points: {
            /** Citation */
            citation: string;
            /** Coded */
            coded: {
                [key: string]: components["schemas"]["Coded"];
            };
            /** Complete */
            complete: boolean;
            /** Configurations */
            configurations: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Energy Class */
            energy_class: string;
            /** Front */
            front: components["schemas"]["FrontMark"][];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Points */
            points: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** State */
            state: string;
            /** Tier */
            tier: ("self-reported" | "recomputed" | "replicated") | "best";
            x: components["schemas"]["Quantity"];
            /**
             * X Better
             * @enum {string}
             */
            x_better: "lower" | "higher";
            /**
             * X Metric
             * @enum {string}
             */
            x_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            x_uncertainty: components["schemas"]["Quantity"] | null;
            /** X Unit */
            x_unit: string;
            y: components["schemas"]["Quantity"];
            /**
             * Y Better
             * @enum {string}
             */
            y_better: "lower" | "higher";
            /**
             * Y Metric
             * @enum {string}
             */
            y_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            y_uncertainty: components["schemas"]["Quantity"] | null;
            /** Y Unit */
            y_unit: string;
        };
        /**
         * Price
         * @description Of a kWh.
         */
        Price: {
            /** Assumption */
            assumption: string;
            /** Currency */
            currency: string;
            /** High */
            high: number;
            /** Id */
            id: string;
            /** Licence */
            licence: string;
            /** Low */
            low: number;
            /** Name */
            name: string;
            /** Source */
            source: string;
            /** Url */
            url: string;
            /** Year */
            year: number;
        };
        /**
         * Problem
         * @description An error (RFC 9457).
         * @example {
         *       "detail": "no result has the id 7",
         *       "errors": [],
         *       "metric_semantics_version": 4,
         *       "reason": "no_such_result",
         *       "request_id": "6f1f64e9f1bd4a5e",
         *       "schema_version": 1,
         *       "status": 404,
         *       "title": "Not found",
         *       "type": "urn:lem:problem:no_such_result"
         *     }
         */
        Problem: {
            /** Detail */
            detail: string;
            /**
             * Errors
             * @default []
             */
            errors: components["schemas"]["FieldError"][];
            /**
             * Hint
             * @default null
             */
            hint: string | null;
            /**
             * Metric Semantics Version
             * @default 4
             */
            metric_semantics_version: number;
            /**
             * Reason
             * @description A code for programs; it keeps its meaning.
             */
            reason: string;
            /**
             * Request Id
             * @description Stands in the server's log.
             * @default null
             */
            request_id: string | null;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /** Status */
            status: number;
            /** Title */
            title: string;
            /** Type */
            type: string;
        };
        /** Provenance */
        Provenance: {
            /** Boards */
            boards: string[];
            /** Checks */
            checks: string;
            /** Does Not Prove */
            does_not_prove: string;
            /** Enrolled By */
            enrolled_by: string;
            /** Findings */
            findings: components["schemas"]["Finding"][];
            /** Key */
            key: string;
            /** Log Seq */
            log_seq: number;
            /** Received At */
            received_at: string;
            /** Submission */
            submission: string;
            /** Submitter */
            submitter: string;
            /**
             * Tier
             * @enum {string}
             */
            tier: "self-reported" | "recomputed" | "replicated";
        };
        /**
         * Quality
         * @description Mean negative log-likelihood per token of one text, which is the same in both cases.
         */
        Quality: {
            /** Blocks */
            blocks?: number | null;
            /** Change */
            change?: number | null;
            /** High */
            high?: number | null;
            /** Low */
            low?: number | null;
            /** Margin */
            margin: number;
            /** Measured */
            measured: boolean;
            /**
             * Metric
             * @default nll_per_token
             * @constant
             */
            metric: "nll_per_token";
            /** Tokens */
            tokens?: number | null;
        };
        /**
         * Quantity
         * @description Codes are 93 × a digit of the first half of ``digits`` + one of the second half. Code c below
         *     8647 is low × (high ÷ low)^(c ÷ 8646), or low + (high − low) × c ÷ 8646 with ``linear``; 8647
         *     is 0, 8648 none. Only to draw: whoever shows a number asks for it.
         */
        Quantity: {
            /** Digits */
            digits: string;
            /** High */
            high: number;
            /** Low */
            low: number;
            /**
             * Scale
             * @enum {string}
             */
            scale: "log" | "linear";
        };
        /** Queue */
        Queue: {
            /** Next */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["QueuedRow"][];
            /** Running */
            running: number;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /** Waiting */
            waiting: number;
        };
        /** QueuedAnswer */
        QueuedAnswer: {
            /** Adaptive */
            adaptive: boolean;
            /** Backends */
            backends: string[];
            /** Began At */
            began_at: string | null;
            /** Campaign */
            campaign: string | null;
            /** Campaign State */
            campaign_state: string | null;
            /** Cancelling */
            cancelling: boolean;
            /** Claims */
            claims: components["schemas"]["ClaimOf"][];
            /** Created At */
            created_at: string;
            /** Declined */
            declined: components["schemas"]["DeclinedBy"][];
            /** Device Models */
            device_models: string | null;
            /** Doing */
            doing: string;
            /** Ended At */
            ended_at: string | null;
            /** Experiments */
            experiments: number;
            /** Fence */
            fence: number;
            /** Id */
            id: string;
            /** Missing */
            missing: string;
            /** Models */
            models: string[];
            /** Name */
            name: string;
            person: components["schemas"]["Person"];
            /** Position */
            position: number | null;
            /** Preset */
            preset: string;
            /** Reason */
            reason: string;
            runner: components["schemas"]["RunnerOf"] | null;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * State
             * @enum {string}
             */
            state: "queued" | "running" | "done" | "failed" | "cancelled";
            /** Tries */
            tries: number;
            /** Trust Remote Code */
            trust_remote_code: boolean;
            /** Unfinished Before */
            unfinished_before: number;
            /** Yaml */
            yaml: string;
        };
        /** QueuedRow */
        QueuedRow: {
            /** Backends */
            backends: string[];
            /** Began At */
            began_at: string | null;
            /** Cancelling */
            cancelling: boolean;
            /** Created At */
            created_at: string;
            /** Doing */
            doing: string;
            /** Ended At */
            ended_at: string | null;
            /** Experiments */
            experiments: number;
            /** Id */
            id: string;
            /** Models */
            models: string[];
            /** Name */
            name: string;
            person: components["schemas"]["Person"];
            /** Position */
            position: number | null;
            /** Reason */
            reason: string;
            runner: components["schemas"]["RunnerOf"] | null;
            /**
             * State
             * @enum {string}
             */
            state: "queued" | "running" | "done" | "failed" | "cancelled";
            /** Tries */
            tries: number;
            /** Trust Remote Code */
            trust_remote_code: boolean;
        };
        /**
         * Ratio
         * @description To the baseline.
         */
        Ratio: {
            /**
             * Basis
             * @enum {string}
             */
            basis: "within campaign" | "across campaigns";
            /** Blocks */
            blocks: number | null;
            /** Campaign */
            campaign: string | null;
            /** Comparisons */
            comparisons: number;
            /**
             * Elsewhere
             * @default []
             */
            elsewhere: components["schemas"]["Elsewhere"][];
            /** High */
            high: number | null;
            /** Level */
            level: number;
            /** Low */
            low: number | null;
            /** Ratio */
            ratio: number | null;
            /** Reason */
            reason: string | null;
            /**
             * Verdict
             * @enum {string}
             */
            verdict: "less" | "more" | "same" | "cannot_tell";
            /** Words */
            words: string;
        };
        /**
         * RatioReplication
         * @description Two submitters' ratios of energy per output token to one baseline, each within blocks.
         */
        RatioReplication: {
            /** Baseline */
            baseline: string;
            /** High */
            high: number | null;
            /** Low */
            low: number | null;
            /** Margin */
            margin: number;
            /** Ratio */
            ratio: number;
            /** Submitter A */
            submitter_a: string;
            /** Submitter B */
            submitter_b: string;
            /** Verdict */
            verdict: string;
        };
        /**
         * Receipt
         * @description What the server says of a submission; the same for every sending of the same content.
         */
        Receipt: {
            /** Already There */
            already_there: boolean;
            /** Campaign */
            campaign: string;
            /**
             * Campaign State
             * @enum {string}
             */
            campaign_state: "open" | "complete" | "rejected" | "retracted";
            /**
             * Checks
             * @enum {string}
             */
            checks: "pending" | "passed" | "held" | "rejected" | "retracted";
            /**
             * Findings
             * @default []
             */
            findings: components["schemas"]["Finding"][];
            /** Log Hash */
            log_hash: string;
            /** Log Seq */
            log_seq: number;
            /**
             * Missing
             * @default
             */
            missing: string;
            /** Received At */
            received_at: string;
            /** Runs */
            runs: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Submission */
            submission: string;
        };
        /**
         * Replication
         * @description Two submitters beside each other, by two one-sided tests of equivalence.
         */
        Replication: {
            /** High */
            high: number | null;
            /** Low */
            low: number | null;
            /** Ratio */
            ratio: number;
            /** Submitter A */
            submitter_a: string;
            /** Submitter B */
            submitter_b: string;
            /** Verdict */
            verdict: string;
        };
        /** Result */
        Result: {
            /** Citation */
            citation: string;
            configuration: components["schemas"]["Configuration"];
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            files: components["schemas"]["Files"];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            provenance: components["schemas"]["Provenance"];
            /** Record */
            record: {
                [key: string]: unknown;
            };
            run: components["schemas"]["Run"];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Trace Url */
            trace_url: string | null;
        };
        /** Retracted */
        Retracted: {
            /** Campaign */
            campaign: string;
            /**
             * Campaign State
             * @default retracted
             */
            campaign_state: string;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Retraction */
        Retraction: {
            /**
             * Campaign
             * @description ``campaign`` of the manifests' content.
             */
            campaign: string;
            /** Key */
            key: string;
            /** Nonce */
            nonce: string;
            /**
             * Signature
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
             */
            signature: string;
        };
        /** Revocation */
        Revocation: {
            /** Nonce */
            nonce: string;
            /**
             * Signature
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
             */
            signature: string;
        };
        /** Revoked */
        Revoked: {
            /** Key */
            key: string;
            /**
             * Revoked
             * @default true
             */
            revoked: boolean;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Rotation */
        Rotation: {
            /** Nonce */
            nonce: string;
            /**
             * Proof
             * @description By the new key, of the same.
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
             */
            proof: string;
            /**
             * Public Key
             * @description The new key.
             * @example O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=
             */
            public_key: string;
            /**
             * Signature
             * @description By the old key.
             * @example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==
             */
            signature: string;
        };
        /** Run */
        Run: {
            /** Attempt */
            attempt: number;
            /** Backend */
            backend: string;
            /** Block */
            block: number;
            /** Campaign */
            campaign: string;
            /** Configuration */
            configuration: string;
            /** Counted */
            counted: boolean;
            /** Device Count */
            device_count: number;
            /** Device Model */
            device_model: string;
            /** Energy Class */
            energy_class: string;
            /** Engine Version */
            engine_version: string;
            /** Figures */
            figures: {
                [key: string]: components["schemas"]["RunFigure"];
            };
            /** Flags */
            flags: string[];
            /** Id */
            id: string;
            /** Meter Class */
            meter_class: string;
            /** Model */
            model: string;
            /** Started At */
            started_at: string;
            /** Submitter */
            submitter: string;
            /**
             * Tier
             * @enum {string}
             */
            tier: "self-reported" | "recomputed" | "replicated";
        };
        /**
         * RunFigure
         * @description Of one run.
         */
        RunFigure: {
            /** Metric */
            metric: string;
            /** Uncertainty */
            uncertainty: number | null;
            /** Unit */
            unit: string;
            /** Value */
            value: number;
        };
        /** RunnerListed */
        RunnerListed: {
            /** Disabled At */
            disabled_at: string | null;
            /** Doing */
            doing: string;
            hardware: components["schemas"]["Hardware"];
            /** Id */
            id: string;
            /** Lem Version */
            lem_version: string;
            /** Name */
            name: string;
            /** Registered At */
            registered_at: string;
            /** Seen At */
            seen_at: string;
            /**
             * Token
             * @description The handle of its token.
             */
            token: string;
        };
        /** RunnerOf */
        RunnerOf: {
            /** Id */
            id: string;
            /** Name */
            name: string;
        };
        /**
         * RunnerRow
         * @description A runner as anybody may see it: not whose it is, nor its folder's name.
         */
        RunnerRow: {
            accepts: components["schemas"]["Accepts"];
            /** Doing */
            doing: string;
            hardware: components["schemas"]["Hardware"];
            /** Id */
            id: string;
            /** Launcher */
            launcher: string;
            /** Lem Version */
            lem_version: string;
            /** Name */
            name: string;
            /** Online */
            online: boolean;
            /** Queued */
            queued: string | null;
            /** Registered At */
            registered_at: string;
            /** Seen At */
            seen_at: string;
        };
        /** Runners */
        Runners: {
            /** Rows */
            rows: components["schemas"]["RunnerRow"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** RunnersListed */
        RunnersListed: {
            /**
             * Next
             * @description ``after`` of the next page.
             */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["RunnerListed"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Runs */
        Runs: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Energy Class */
            energy_class: string | null;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Next */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["Run"][];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /**
         * Scatter
         * @description Columns of equal length: the i-th of each are of one configuration. Figures are rounded to
         *     eight significant digits and uncertainties to four, which is finer than anything that is
         *     measured: whoever needs every bit asks for the configuration.
         */
        Scatter: {
            /** Backend */
            backend: number[];
            /** Backends */
            backends: string[];
            /** Citation */
            citation: string;
            /** Complete */
            complete: boolean;
            /** Configurations */
            configurations: number;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /** Device Model */
            device_model: number[];
            /** Device Models */
            device_models: string[];
            /** Energy Class */
            energy_class: string;
            /** Id */
            id: string[];
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Model */
            model: number[];
            /** Models */
            models: string[];
            /** Runs */
            runs: number[];
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Submitters */
            submitters: number[];
            /** Tier */
            tier: number[];
            /** X */
            x: number[];
            /**
             * X Metric
             * @enum {string}
             */
            x_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** X Uncertainty */
            x_uncertainty: (number | null)[];
            /** X Unit */
            x_unit: string;
            /** Y */
            y: number[];
            /**
             * Y Metric
             * @enum {string}
             */
            y_metric: "energy_per_output_token_j" | "energy_per_total_token_j" | "energy_per_request_j" | "energy_above_idle_per_output_token_j" | "mean_power_w" | "output_throughput_tokens_per_s" | "ttft_p50_s" | "ttft_p99_s" | "itl_p50_s" | "itl_p99_s" | "e2e_latency_p50_s" | "nll_per_token";
            /** Y Uncertainty */
            y_uncertainty: (number | null)[];
            /** Y Unit */
            y_unit: string;
        };
        /** Series */
        Series: {
            /** Device */
            device: string;
            /** Meter */
            meter: string;
            /** Quantity */
            quantity: string;
            /** Readings */
            readings: number;
            /** T S */
            t_s: number[];
            /** Value */
            value: number[];
        };
        /** Set */
        Set: {
            /** Disabled */
            disabled: boolean;
            /** Id */
            id: string;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** Share */
        Share: {
            /** Boards May Explain */
            boards_may_explain: boolean;
            /** High */
            high: number | null;
            /** Low */
            low: number | null;
            /** Name */
            name: string;
            /** Paths */
            paths: string[];
            /** Share */
            share: number;
        };
        /** Side */
        Side: {
            configuration: components["schemas"]["Configuration"];
            /** Figures */
            figures: components["schemas"]["Figure"][];
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "defaults" | "baseline" | "other";
            /** Settings */
            settings: {
                [key: string]: string | number | boolean | null;
            };
        };
        /** SigningIn */
        SigningIn: {
            /**
             * Token
             * @example tqXzO7FGdA8xDLJq4fWnmoYcl0RpsM2nB1CjAhVdKek
             */
            token: string;
        };
        /** SloOf */
        SloOf: {
            /** Base */
            base: number;
            /** Limits */
            limits: {
                [key: string]: number;
            };
            /** Needed */
            needed: number;
            /** Other */
            other: number;
            /** Runs */
            runs: number;
        };
        /** Span */
        Span: {
            /** High */
            high: number;
            /** Low */
            low: number;
        };
        /**
         * Standing
         * @description What a heartbeat is answered.
         */
        Standing: {
            /**
             * Cancel
             * @default false
             */
            cancel: boolean;
            /** Lease S */
            lease_s?: number | null;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** SubmissionOf */
        SubmissionOf: {
            /**
             * Checks
             * @enum {string}
             */
            checks: "pending" | "passed" | "held" | "rejected" | "retracted";
            /** Log Seq */
            log_seq: number;
            /** Received At */
            received_at: string;
            /** Runs */
            runs: number;
            /** Submission */
            submission: string;
            /** Submitter */
            submitter: string;
        };
        /**
         * Submitter
         * @description One submitter's figures, beside the others'.
         */
        Submitter: {
            /**
             * Best Tier
             * @enum {string}
             */
            best_tier: "self-reported" | "recomputed" | "replicated";
            /** Boards */
            boards: string[];
            /** Campaigns */
            campaigns: string[];
            /** Enrolled By */
            enrolled_by: string;
            /** Figures */
            figures: components["schemas"]["Figure"][];
            /** First At */
            first_at: string;
            /** Last At */
            last_at: string;
            /** Runs */
            runs: number;
            /** Submitter */
            submitter: string;
        };
        /**
         * Taken
         * @description What a server answers to a batch.
         */
        Taken: {
            /** Next */
            next: number;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** TakenBack */
        TakenBack: {
            /**
             * Done
             * @default true
             */
            done: boolean;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** TokenListed */
        TokenListed: {
            /** Created At */
            created_at: string;
            /** Expires At */
            expires_at: string | null;
            /** Handle */
            handle: string;
            /** Name */
            name: string;
            /** Person */
            person: string | null;
            /**
             * Role
             * @enum {string}
             */
            role: "admin" | "runner" | "submitter" | "owner";
            /**
             * Used On
             * @description The last day of use.
             */
            used_on: string | null;
        };
        /** TokenMade */
        TokenMade: {
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /**
             * Token
             * @description Shown this once.
             */
            token: string;
        };
        /**
         * TokenNamed
         * @description One token by its handle, or all of a name.
         */
        TokenNamed: {
            /** Handle */
            handle?: string | null;
            /** Name */
            name?: string | null;
        };
        /** Tokens */
        Tokens: {
            /** Rows */
            rows: components["schemas"]["TokenShown"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** TokenShown */
        TokenShown: {
            /** Created At */
            created_at: string;
            /**
             * Current
             * @description Whether it is the one that asks.
             */
            current: boolean;
            /** Expires At */
            expires_at: string | null;
            /**
             * Handle
             * @example t3b6a27bcceb6a42d62a3
             */
            handle: string;
            /** Name */
            name: string;
            /**
             * Role
             * @enum {string}
             */
            role: "admin" | "submitter" | "runner" | "owner";
            /**
             * Used On
             * @description The last day of use.
             */
            used_on: string | null;
        };
        /** TokensListed */
        TokensListed: {
            /**
             * Next
             * @description ``after`` of the next page.
             */
            next: string | null;
            /** Rows */
            rows: components["schemas"]["TokenListed"][];
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** TokensRevoked */
        TokensRevoked: {
            /** Revoked */
            revoked: number;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
        };
        /** TokenWanted */
        TokenWanted: {
            /**
             * Name
             * @example backup of the board
             */
            name: string;
            /**
             * Person
             * @description Whom it is for. Without one, a submitter's or an admin's token makes a new person of this name.
             */
            person?: string | null;
            /**
             * Role
             * @enum {string}
             */
            role: "admin" | "runner" | "submitter";
            /** Valid S */
            valid_s?: number | null;
        };
        /** Trace */
        Trace: {
            /** Citation */
            citation: string;
            /** Data Version */
            data_version: number;
            /**
             * Demo
             * @default false
             */
            demo: boolean;
            /**
             * Licence
             * @default CC-BY-4.0
             * @constant
             */
            licence: "CC-BY-4.0";
            /** Metric Semantics Version */
            metric_semantics_version: number;
            /** Run */
            run: string;
            /** Sampled */
            sampled: boolean;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
            /** Series */
            series: components["schemas"]["Series"][];
            /** Zero Ns */
            zero_ns: number;
        };
        /**
         * Wanted
         * @description ``POST /runners/claim``. Answered by :class:`Claimed`, or 204 where there is nothing.
         */
        Wanted: {
            /** Queued */
            queued?: string | null;
            /** Runner */
            runner: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** Welcome */
        Welcome: {
            /** Heartbeat S */
            heartbeat_s: number;
            /** Lease S */
            lease_s: number;
            /** Poll S */
            poll_s: number;
            /** Runner */
            runner: string;
            /**
             * Schema Version
             * @default 1
             * @constant
             */
            schema_version: 1;
        };
        /** Who */
        Who: {
            /**
             * Name
             * @description The person's, or else that of an admin's token.
             */
            name?: string | null;
            /** @description Whom the token belongs to; an admin's may belong to nobody. */
            person?: components["schemas"]["PersonShown"] | null;
            /** Role */
            role?: ("admin" | "submitter" | "runner" | "owner") | null;
            /**
             * Schema Version
             * @default 1
             */
            schema_version: number;
            /** Signed In */
            signed_in: boolean;
            /**
             * Token
             * @description The handle of the token.
             */
            token?: string | null;
            /**
             * Until
             * @description When the session ends, where nothing is asked meanwhile.
             */
            until?: string | null;
        };
        /**
         * WorkloadOf
         * @description What was asked of both.
         */
        WorkloadOf: {
            /** Arrival */
            arrival: string;
            /** Dataset */
            dataset: string;
            /** Input Tokens */
            input_tokens: number | null;
            /** Load */
            load: number | null;
            /** Natural Stops */
            natural_stops: boolean;
            /** Output Tokens */
            output_tokens: number | null;
            /** Real Prompts */
            real_prompts: boolean;
            /** Requests */
            requests: number;
            /** Requests Sha256 */
            requests_sha256: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
