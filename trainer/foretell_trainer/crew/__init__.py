"""Work that the workers of the queue `train` share: told once, done in parts, joined by who asked.

Folds of a cross-validation and trials of a search are such parts. All of it is JSON in the broker.
Whoever asks describes the work once, under a key that is gone when the work is over. Its parts
are a Celery group: one message each, delivered again if its worker dies. Results come back
through a list, and who asked joins them while it does parts of its own: those that no worker has
begun it takes back from the queue. So nobody waits for a worker that is busy with something else.

It is no chord. One was tried here (Celery 5.7, its Redis backend, this transport): a member whose
worker is killed before or after its result was kept is delivered again and counted once, so that
would do. What it lacks is the rest:

- One member that fails has the whole fail (`ChordError`), and its callback never runs. Here a part
  that another machine cannot do is done by who asked, with the error that it has there, if any.
- Its callback is one more message of the same queue. A job that waits for it holds its own worker,
  so that with one worker it would never run; a job that ends with its chord, to go on in the
  callback, gives up its turn and its snapshot in the middle.
- What is taken back from the queue is no message any more: nothing would count it.
- A member whose message is gone (a hard time limit, a worker of another version) leaves the chord
  waiting for ever; who joins here looks where each part is, and does what got lost.
- It needs a result backend for its tasks, whose entries stay for a day.
"""
