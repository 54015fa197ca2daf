// The records of the HTTP interface, as far as the page reads them. docs: /openapi.json.

export interface Output {
  id: string; format: string; quant_type: string; file_path: string | null; file_size: number | null; status: string;
  progress: number; error: string | null; completed_at: string | null; sha256: string | null; bits_per_weight: number | null; rmse: number | null;
}

export interface Config {
  imatrix_file?: string; threads?: number; max_memory_bytes?: number; verify_output?: boolean; pure?: boolean; leave_output_tensor?: boolean;
  output_tensor_type?: string; token_embedding_type?: string; tensor_types?: { pattern: string; type: string }[]; merge_lora?: string; lora_base?: string; allow_requantize?: boolean;
  force?: boolean; provenance?: boolean; use_imatrix?: boolean;
}

export interface Job {
  id: string; name: string; description: string | null; source_model: string; source_type: string; revision: string | null; commit: string | null;
  model_architecture: string | null; gguf_quant_types: string[]; config: Config; priority: number; status: string; progress: number;
  current_step: string | null; total_outputs: number; completed_outputs: number; outputs: Output[]; created_at: string; started_at: string | null;
  completed_at: string | null; error: string | null; hint: string | null; resumable: boolean; missing_bytes?: number; bytes_done: number;
  bytes_total: number; bytes_per_second: number; eta_seconds: number; attempts: number; cancel_requested: boolean; owner: string | null;
  estimate: Estimate | null;
}

export interface Fallback { tensor: string; columns: number; want: string; got: string; extra_bytes: number }

export interface OutputEstimate {
  type: string; file_name: string; path: string; bytes: number; bits_per_weight: number; fallbacks: Fallback[]; fallback_bytes: number;
}

export interface Tensor { name: string; shape: number[]; role: string; layer?: number; format: string; types: string[]; fallback?: boolean }

export interface Estimate {
  model: string; architecture: string; parameters: number; source_bytes: number; outputs: OutputEstimate[]; output_bytes: number;
  download_bytes: number; peak_disk_bytes: number; free_disk_bytes: number; disk_bytes: number; peak_memory_bytes: number; estimated_seconds: number;
  warnings: string[]; tensors?: Tensor[];
}

export interface ModelInfo {
  source: string; source_type: string; commit: string | null; architecture: string; parameters: number; dtype: string; size_bytes: number;
  context_length: number; gated: boolean; supported: boolean; reason: string | null; recommended_types: string[];
}

export interface TypeInfo { value: string; name: string; description: string; bits_per_weight: number; quality: string; expected_deviation: number | null }
export interface FormatInfo { format: string; name: string; description: string; available: boolean }

export interface TensorFidelity { name: string; type: string; rmse: number; max: number; cosine: number }

export interface Variant {
  filename: string; path: string; quantization: string; size_bytes: number; bits_per_weight: number; sha256: string; vram_required_mb: number;
  rmse: number | null; cosine: number | null; perplexity: number | null; kld: number | null; created_at: string; job_id: string; missing: boolean;
  verified: { at: string; ok: boolean; error: string | null } | null;
  tensors?: TensorFidelity[];
}

export interface VerifyFile { path: string; filename: string; quantization: string; status: string; error: string | null; bytes_done: number; bytes_total: number; completed_at: string | null }
export interface VerifyRun {
  id: string; status: "none" | "running" | "completed" | "cancelled"; ok: boolean; files: VerifyFile[]; bytes_done: number; bytes_total: number;
  bytes_per_second: number; eta_seconds: number; started_at: string | null; completed_at: string | null;
}

export interface Rating { rating: number; variant?: string; notes?: string; tags?: string[] }

export interface Model {
  id: string; architecture: string; source_model: string; commit: string | null; parameters: number; context_length: number;
  total_bytes: number; created_at: string; variants: Variant[]; rating?: Rating;
}

export interface Health {
  status: string; version: string; running_jobs: number; queued_jobs: number; output_dir: string; free_disk_bytes: number; disk_bytes: number; hf_token: boolean;
  error?: string; folders: string[]; models_dir: string; threads: number; max_memory_bytes: number; concurrency: number;
}

export interface TensorTypeInfo { value: string; bits_per_weight: number; writable: boolean }

export interface FileEntry { path: string; bytes: number; modified_at: string }
export interface FileList { folders: string[]; files: FileEntry[]; total: number; partial: boolean }

export interface MetaEntry { key: string; type: string; length?: number; value: any }
export interface FileTensor { name: string; shape: number[]; type: string; elements: number; bytes: number; role: string; file: number; offset: number }
export interface TypeCount { type: string; tensors: number; elements: number; bytes: number }
export interface Inspection {
  model: string; architecture: string; file_type?: string; parameters: number; bytes: number; bits_per_weight: number; context_length?: number;
  metadata: MetaEntry[]; types: TypeCount[]; tensors: FileTensor[]; files?: { path: string; bytes: number }[];
}

export interface LogEvent { seq: number; time: string; type: string; level?: string; msg?: string; message?: string; data?: any }
