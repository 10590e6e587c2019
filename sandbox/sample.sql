-- Believable tasks as of now: 3 that failed in the last 30 minutes, 3 stuck in the queue, 2 stuck in progress, and
-- some that no alert is about. In UTC, now() suits `timestamp` columns as well as `timestamptz` ones.
SET TIME ZONE 'UTC';

-- Ages in minutes; NULL where it has not happened.
WITH task (id, user_api_key, status, created, started, updated, finished, error) AS (VALUES
    -- Failed in the last 30 minutes.
    ('6f1c2a94-8d3b-4e57-9a60-2b7de15c0f83', 'pr_live_4c81f0a27be94d6f', 'failed', 21.0, 20.5, 4.0, 4.0,
     'Captacity subtitle generation failed: Permission denied'),
    ('b04e7d15-52f9-4c0a-8f1e-c9a36d8420b7', 'pr_live_91d2e6f83a0547bc', 'failed', 36.0, 35.0, 11.5, 11.5,
     $error$RuntimeError: ffmpeg exited with code 137 while concatenating 2 scenes (killed, out of memory)
Traceback (most recent call last):
  File "/app/main_worker.py", line 214, in process_task
    result = pipeline.render(task_id, request)
  File "/app/video/pipeline.py", line 88, in render
    combined = self._concatenate(scene_files, output_path)
  File "/app/video/pipeline.py", line 152, in _concatenate
    run_ffmpeg(["-f", "concat", "-safe", "0", "-i", str(list_file), "-c:v", "libx264", str(output_path)])
  File "/app/video/ffmpeg.py", line 41, in run_ffmpeg
    subprocess.run(command, check=True, capture_output=True, timeout=FFMPEG_TIMEOUT_SECONDS)
  File "/usr/local/lib/python3.9/subprocess.py", line 528, in run
    raise CalledProcessError(retcode, process.args,
subprocess.CalledProcessError: Command '['ffmpeg', '-y', '-f', 'concat', '-safe', '0', '-i', '/tmp/render/scenes.txt']' returned non-zero exit status 137.

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main_worker.py", line 219, in process_task
    raise RuntimeError(f"ffmpeg exited with code {error.returncode} while concatenating {count} scenes") from error
RuntimeError: ffmpeg exited with code 137 while concatenating 2 scenes
$error$),
    ('e92b6c38-17a4-4d82-b5c6-70f4a1de9352', 'pr_live_4c81f0a27be94d6f', 'failed', 40.0, 38.0, 23.0, 23.0,
     'Upload of <final.mp4> & thumbnail failed: HTTP 403 for PUT https://storage.googleapis.com/protoreel-output/'
     'final.mp4?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=uploader%40protoreel.iam.gserviceaccount.com'
     '&X-Goog-Expires=3600&X-Goog-Signature=2f6d0c9b1e7a4835d2c6f09b8e1a7c35 (Authorization: Bearer '
     'ya29.a0AfB_byC3xampleTokenOfTheSandbox)'),
    -- Failed before that.
    ('3d80f5b1-c62e-49a7-8e04-15b9d7c3a26f', 'pr_live_91d2e6f83a0547bc', 'failed', 1510.0, 1505.0, 1490.0,
     1490.0, 'ElevenLabs TTS failed: 401 Unauthorized'),
    -- Stuck in the queue.
    ('a7153e0c-94bd-4f26-8c71-d60e2fb8a495', 'pr_live_2b7a90c4d1e8f365', 'queued', 96.0, NULL, 96.0, NULL, NULL),
    ('58c9d2e7-0b4f-4a13-9d65-f1837e06cb2a', 'pr_live_91d2e6f83a0547bc', 'queued', 64.0, NULL, 64.0, NULL, NULL),
    ('c3f60a82-7e1d-4b95-a248-9e5d03b7f614', 'pr_live_4c81f0a27be94d6f', 'queued', 41.0, NULL, 41.0, NULL, NULL),
    -- Stuck in progress, under both names of that status; one was queued again after an error.
    ('1e84b7d9-a305-4c6e-92f8-6b0d5ca173ef', 'pr_live_2b7a90c4d1e8f365', 'inprogress', 124.0, 122.0, 122.0, NULL,
     'Attempt 1: scene 2 download timed out after 120s, retrying'),
    ('d95a20f6-3c78-4e1b-b7a0-84f6e21d9c53', 'pr_live_91d2e6f83a0547bc', 'in_progress', 58.0, 52.0, 52.0, NULL,
     NULL),
    -- At work, as they should be.
    ('7b2e9f40-d681-4a5c-8e37-0c91f5b3da68', 'pr_live_2b7a90c4d1e8f365', 'queued', 2.0, NULL, 2.0, NULL, NULL),
    ('f4061d8b-29ce-47b0-a5f3-e7d82c60b91a', 'pr_live_4c81f0a27be94d6f', 'inprogress', 9.0, 6.0, 6.0, NULL, NULL),
    -- Done.
    ('90ad5c73-e8f2-4136-b0d9-3a7c64e1f825', 'pr_live_4c81f0a27be94d6f', 'finished', 27.0, 26.0, 3.0, 3.0, NULL),
    ('2cf7e816-b045-4d9a-83e1-57d0b9a2c46f', 'pr_live_91d2e6f83a0547bc', 'finished', 33.0, 31.0, 8.0, 8.0, NULL),
    ('e61b304a-5d97-4f82-ac05-b8f29c7d1e30', 'pr_live_2b7a90c4d1e8f365', 'finished', 19.0, 18.5, 16.0, 16.0, NULL),
    ('847fd9c2-1a60-4be5-9738-20ec5f4db6a1', 'pr_live_4c81f0a27be94d6f', 'finished', 48.0, 47.0, 25.0, 25.0, NULL)
)
INSERT INTO tasks (id, user_api_key, status, error, log_uri, created_at, updated_at, started_at, finished_at)
SELECT
    id, user_api_key, status, error,
    -- Where Google Cloud's console shows a worker's log: a query of its own for each task. A queued task has none yet.
    CASE WHEN started IS NOT NULL THEN
        'https://console.cloud.google.com/logs/query;query=resource.type%3D%22k8s_container%22%0A'
        'resource.labels.project_id%3D%22protoreel-production%22%0Aresource.labels.location%3D%22europe-west1%22%0A'
        'resource.labels.cluster_name%3D%22render-cluster%22%0Aresource.labels.namespace_name%3D%22workers%22%0A'
        'resource.labels.container_name%3D%22protoreel-worker%22%0AjsonPayload.task_id%3D%22' || id || '%22%0A'
        'severity%3E%3DDEFAULT;storageScope=project;timeRange='
        || to_char(now() - started * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS".000Z%2F"')
        || to_char(now() - updated * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"')
        || ';summaryFields=jsonPayload%252Fstage:false:32:beginning?project=protoreel-production' END,
    now() - created * interval '1 minute', now() - updated * interval '1 minute',
    now() - started * interval '1 minute', now() - finished * interval '1 minute'
FROM task;
